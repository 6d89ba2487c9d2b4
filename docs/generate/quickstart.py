"""Test images of the quickstart, their labels, and what the same network predicts under three losses.

    python -m docs.generate.quickstart

writes the picture of the README, quickstart.jpg in docs. The predictions are those that
`compare configs/quickstart.py --evidence tests/benchmarks/evidence/quickstart` kept.
"""

from pathlib import Path

import numpy as np

from docs.generate.sheet import SIDE, sheet
from train.data.example import PARTS
from train.data.sets import Generated
from train.data.sets.surface import paint
from train.display.pictures import enlarge, overlay
from train.run.results import read_label_maps

_DOCS = Path(__file__).parents[1]
_EVIDENCE = _DOCS.parent / "tests/benchmarks/evidence/quickstart"
_DATA = Generated()
"""That of configs/quickstart.py."""
_IMAGES = (0, 26, 58)
"""Positions in the test part: the first three of which the runs keep label maps."""
_CELLS = {
    "cross-entropy": "cross_entropy-seed_0",
    "cross-entropy + Dice": "cross_entropy_dice-seed_0",
    "balanced loss": "balanced-seed_0",
}


def write(folder: Path) -> None:
    """Write quickstart.jpg into a folder."""
    picture = sheet(("image", "label", *_CELLS), [_row(position) for position in _IMAGES])
    picture.save(folder / "quickstart.jpg", quality=88, optimize=True)


def _row(position: int) -> list[np.ndarray]:
    """Return a test image, its label and the predictions, uint8 [SIDE, SIDE, 3] each."""
    rng = np.random.default_rng((_DATA.seed, PARTS.index("test"), position))
    image, label = paint(rng, _DATA.size)
    maps = [
        np.zeros_like(label),
        label,
        *(read_label_maps(_EVIDENCE / cell)[position] for cell in _CELLS.values()),
    ]
    pixels = enlarge(image[..., None], SIDE)
    return [overlay(pixels, enlarge(x, SIDE)) for x in maps]


if __name__ == "__main__":
    write(_DOCS)
