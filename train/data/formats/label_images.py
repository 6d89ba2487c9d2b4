"""Label images in the forms in which people keep them, converted to class ids.

Every reader returns uint8 [h, w]: class ids, and 255 where a pixel has no class.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from train.data.example import VOID
from train.data.formats.images import describe_mode, open_image, without_alpha
from train.data.pixels import is_gray
from train.errors import UserError

_RGB_CODE = (65536, 256, 1)
"""Factors that turn red, green and blue into one number."""


def read_ids(path: Path, classes: Sequence[str], void: int | None) -> np.ndarray:
    """Read a label image whose values are class ids: gray levels, or the indices of a palette.

    Raises:
        UserError: a value is neither a class id nor `void`, or the label image is in color or was compressed
            with loss.
    """
    image = open_image(path, exact=True)
    indexed = image.mode in ("1", "P") or image.mode.startswith("I")
    values = np.asarray(image) if indexed else _gray_levels(image, path)
    label = np.where(values == void, VOID, values)
    unknown = (values != void) & ((values < 0) | (values >= len(classes)))
    if unknown.any():
        value = values[unknown].flat[0]
        raise UserError(
            f"{path}: label {value} is neither a class (0 to {len(classes) - 1}) nor void ({void}); name "
            "every class with --data.classes or the void value with --data.void; for black and white label "
            "images pass --data.threshold 127"
        )
    return label.astype(np.uint8)


def read_threshold(path: Path, threshold: int, *, refuse_ids: bool = False) -> np.ndarray:
    """Read a black and white label image: 1 where it is brighter than a gray level of 0 to 255.

    Colors of a palette are looked up first, because white may have any index.

    Args:
        path: of the file.
        threshold: the gray level.
        refuse_ids: whether a label image of nothing but 0 and 1, both black, is refused: it holds class ids.

    Raises:
        UserError: the label image is in color, has 16 bits, or holds class ids.
    """
    levels = _gray_levels(open_image(path), path)
    if refuse_ids and threshold > 0 and levels.max() == 1:
        raise UserError(
            f"{path}: holds 0 and 1 alone, both black by --data.threshold {threshold}; save it as 0 and 255, "
            "or if all label images hold class ids leave --data.threshold out"
        )
    return (levels > threshold).astype(np.uint8)


def read_colors(path: Path, colors: Sequence[tuple[int, int, int]], void: int | None) -> np.ndarray:
    """Read a label image with one color per class, by class id; the color of index `void` is no class.

    Raises:
        UserError: a color is not in the table, or the label image was compressed with loss.
    """
    image = open_image(path, exact=True)
    codes = _shown_colors(image, path).astype(np.int32) @ _RGB_CODE
    table = np.array(colors) @ _RGB_CODE
    order = np.argsort(table)
    ids = order[np.searchsorted(table, codes, sorter=order).clip(max=len(table) - 1)]
    unknown = table[ids] != codes
    if unknown.any():
        raise UserError(
            f"{path}: color {codes[unknown].flat[0]:06x} is not in --data.colors; add it, or save the label "
            "image as PNG without smoothing if it is a mixture of others"
        )
    return np.where(ids == void, VOID, ids).astype(np.uint8)


def _gray_levels(image: Image.Image, path: Path) -> np.ndarray:
    """Return the gray levels that a label image is shown with, uint8 [h, w].

    Raises:
        UserError: the label image is in color or has more than 8 bits.
    """
    shown = _shown_colors(image, path)
    if not is_gray(shown):
        raise UserError(f"{path}: is in color; say with --data.colors which color stands for which class")
    return shown[..., 0]


def _shown_colors(image: Image.Image, path: Path) -> np.ndarray:
    """Return the colors that a label image is shown with, uint8 [h, w, 3].

    Raises:
        UserError: the label image is partly transparent or has more than 8 bits.
    """
    opaque = without_alpha(image, path)
    if opaque.mode not in ("1", "P", "L", "RGB"):
        raise UserError(f"{path}: is {describe_mode(opaque.mode)}; save it as 8-bit gray, palette or RGB")
    return np.asarray(opaque.convert("RGB"))
