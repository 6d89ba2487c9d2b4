"""Crops of two test images of TopoMortar, and what the same network finds under three losses.

The predictions are those that `compare configs/topomortar_small.py:noisy` kept in tests/benchmarks/evidence.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from docs.generate.sheet import SIDE, sheet
from train.display.pictures import enlarge
from train.run.results import read_label_maps

_CROPS = Path(__file__).with_name("topomortar")
_EVIDENCE = Path(__file__).parents[2] / "tests/benchmarks/evidence/topomortar_noisy"
_CELLS = {
    "cross-entropy + Dice": "cross_entropy_dice-seed_0",
    "class weights": "class_weights-seed_0",
    "paper": "paper-seed_0",
}
_FOUND, _MISSED, _WRONG = (255, 255, 255), (230, 80, 40), (60, 120, 255)
_WALLS = {"test_071": 0, "test_096": 25}
"""Positions in the test part, by the name of the crop."""
_WINDOW = np.s_[200:328, 200:328]
"""Rows and columns of the crops."""


def write(folder: Path) -> None:
    """Write topomortar.png into a folder."""
    picture = sheet(("image", "accurate label", *_CELLS), [_row(*wall) for wall in _WALLS.items()])
    picture.save(folder / "topomortar.png")


def _row(name: str, position: int) -> list[np.ndarray]:
    """Return an image, its label and the predictions, compared with the label, uint8 [SIDE, SIDE, 3] each."""
    label = _read(_CROPS / f"{name}_accurate.png") > 0
    predictions = (read_label_maps(_EVIDENCE / cell)[position] for cell in _CELLS.values())
    maps = [label, *(prediction[_WINDOW] == 1 for prediction in predictions)]
    cells = [_read(_CROPS / f"{name}.png"), *(_compared(x, label) for x in maps)]
    return [enlarge(x, SIDE) for x in cells]


def _compared(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return what is found, missed and wrongly found, each in its color, uint8 [h, w, 3]."""
    colors = np.zeros((*label.shape, 3), np.uint8)
    colors[prediction & label] = _FOUND
    colors[label & ~prediction] = _MISSED
    colors[prediction & ~label] = _WRONG
    return colors


def _read(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.array(image)
