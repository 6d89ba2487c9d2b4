"""Photographs of the generated surfaces above their labels, as the page of one's own images shows them."""

from pathlib import Path

import numpy as np
from PIL import Image

from train.data.sets.surface import paint
from train.display.pictures import overlay

_COILS = (1, 9, 13, 4)
_SIZE, _GAP = 256, 8


def write(folder: Path) -> None:
    """Write photographs.png into a folder."""
    columns = [_column(coil) for coil in _COILS]
    height, width, _ = columns[0].shape
    picture = np.full((height, len(columns) * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for k, column in enumerate(columns):
        left = k * (width + _GAP)
        picture[:, left : left + width] = column
    Image.fromarray(picture).save(folder / "photographs.png")


def _column(coil: int) -> np.ndarray:
    """Return a photograph above itself with its label drawn over it, uint8 [h, w, 3]."""
    image, label = paint(np.random.default_rng((0, coil, ord("a"))), _SIZE)
    pixels = image[..., None]
    gap = np.full((_GAP, _SIZE, 3), 255, np.uint8)
    return np.concatenate([np.repeat(pixels, 3, -1), gap, overlay(pixels, label)])
