"""Crops of two test images of TopoMortar, and what the same network finds under three losses.

The predictions are those that `compare configs/topomortar_small.py:noisy` kept in tests/benchmarks/evidence.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from docs.generate.sheet import SIDE, sheet
from train.display.pictures import enlarge

_CROPS = Path(__file__).with_name("topomortar")
_EVIDENCE = Path(__file__).parents[2] / "tests/benchmarks/evidence/topomortar_noisy"
_SIDE = 128
_CELLS = {
    "cross-entropy + Dice": "cross_entropy_dice-seed_0",
    "class weights": "class_weights-seed_0",
    "paper": "paper-seed_0",
}
_FOUND, _MISSED, _WRONG = (255, 255, 255), (230, 80, 40), (60, 120, 255)


class Wall(NamedTuple):
    """A crop of a test image."""

    name: str
    position: int
    """Position in the test part."""
    top: int
    left: int


_WALLS = (Wall("test_071", 0, 200, 200), Wall("test_096", 25, 200, 200))


def write(folder: Path) -> None:
    """Write topomortar.png into a folder."""
    picture = sheet(("image", "accurate label", *_CELLS), [_row(wall) for wall in _WALLS])
    picture.save(folder / "topomortar.png")


def _row(wall: Wall) -> list[np.ndarray]:
    """Return an image, its label and the predictions, compared with it."""
    label = _read(_CROPS / f"{wall.name}_accurate.png") > 0
    window = np.s_[wall.top : wall.top + _SIDE, wall.left : wall.left + _SIDE]
    file = f"{wall.position:05}.png"
    maps = [label, *(_read(_EVIDENCE / cell / "label_maps" / file)[window] == 1 for cell in _CELLS.values())]
    cells = [_read(_CROPS / f"{wall.name}.png"), *(_compared(x, label) for x in maps)]
    return [enlarge(x, SIDE) for x in cells]


def _compared(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return what is found, missed and wrongly found, each in its color."""
    colors = np.zeros((*label.shape, 3), np.uint8)
    colors[prediction & label] = _FOUND
    colors[label & ~prediction] = _MISSED
    colors[prediction & ~label] = _WRONG
    return colors


def _read(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.array(image)
