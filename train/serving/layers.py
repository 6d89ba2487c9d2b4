"""The pictures of an image in square tiles, so that an image of any size is drawn piece by piece.

A tile of level l shows SIDE * 2**l pixels of the image along each side: it is shrunk where l is above 0 and
enlarged where l is below. Outlines are drawn at the size of the tile, so that they are as thin on an enlarged
defect as on a whole image, and a defect of one pixel stays visible on a shrunk one.
"""

import io

import numpy as np
from PIL import Image

from train.data.example import VOID
from train.data.pixels import channels_to_display
from train.display.pictures import class_layer

SIDE = 512
"""Pixels of a side of a tile."""
LEVELS = range(-3, 12)
"""Levels that are drawn."""
_OUTLINE = 2
"""Width of an outline in pixels of the tile."""
_DASH = 6
"""Length of a dash of a label's outline."""
_VOID_OPACITY = 128
"""Tints are fainter than this, the stripes of void are not."""


def image_tile(image: np.ndarray, level: int, row: int, column: int) -> bytes:
    """Return a tile of an image as PNG.

    Args:
        image: uint8 [h, w, c].
        level: from 0 on.
        row, column: of the tile.
    """
    pixels = channels_to_display(image[_box(level, row, column)])
    picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    return _png(picture.reduce(2**level))


def prediction_tile(classes: np.ndarray, level: int, row: int, column: int) -> bytes:
    """Return a tile of predicted class ids, uint8 [h, w], as PNG: a tint and an outline for each region."""
    return _png(Image.fromarray(_drawn(classes, level, row, column)))


def label_tile(label: np.ndarray, level: int, row: int, column: int) -> bytes:
    """Return a tile of a label, uint8 [h, w], as PNG: dashed outlines, stripes for void."""
    layer = _drawn(label, level, row, column)
    y, x = np.ogrid[: layer.shape[0], : layer.shape[1]]
    outline = layer[..., 3] == 255
    layer[outline & ((y + x) // _DASH % 2 == 1)] = 255
    layer[~outline & (layer[..., 3] < _VOID_OPACITY)] = 0
    return _png(Image.fromarray(layer))


def _drawn(classes: np.ndarray, level: int, row: int, column: int) -> np.ndarray:
    """Return a tile of class ids as a layer, uint8 [h, w, 4]."""
    rows, columns = (_with_margin(part, level) for part in _box(level, row, column))
    scaled = _shrink(classes[rows, columns], level) if level > 0 else _enlarge(classes[rows, columns], level)
    layer = class_layer(scaled, _OUTLINE)
    top, left = (
        round(2.0**-level * ((index * SIDE * 2.0**level) - part.start))
        for index, part in ((row, rows), (column, columns))
    )
    return layer[top : top + SIDE, left : left + SIDE].copy()


def _box(level: int, row: int, column: int) -> tuple[slice, slice]:
    """Return the rows and columns of the image that a tile shows."""
    extent = int(SIDE * 2.0**level)
    return slice(row * extent, (row + 1) * extent), slice(column * extent, (column + 1) * extent)


def _with_margin(part: slice, level: int) -> slice:
    """Return rows or columns with those around them whose outlines reach into the tile."""
    pixels = _OUTLINE * 2**level if level > 0 else -(-_OUTLINE // 2**-level)
    return slice(max(0, part.start - pixels), part.stop + pixels)


def _shrink(classes: np.ndarray, level: int) -> np.ndarray:
    """Return class ids in which a defect wins over background, and void is left where nothing else is."""
    factor = 2**level
    height, width = (-(-length // factor) * factor for length in classes.shape)
    missing = [(0, height - classes.shape[0]), (0, width - classes.shape[1])]
    blocks = np.pad(classes, missing, mode="edge").reshape(height // factor, factor, width // factor, factor)
    largest = np.where(blocks == VOID, 0, blocks).max((1, 3))
    return np.where(blocks.min((1, 3)) == VOID, VOID, largest).astype(np.uint8)


def _enlarge(classes: np.ndarray, level: int) -> np.ndarray:
    return classes.repeat(2**-level, 0).repeat(2**-level, 1)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=1)
    return file.getvalue()
