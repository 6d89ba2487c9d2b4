"""Label images in the forms in which people keep them, turned into class ids.

Every reader returns uint8 [h, w]: class ids, and 255 where a pixel has no class.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from train.data.example import VOID
from train.data.formats.images import describe_mode, opaque, open_image
from train.data.pixels import is_gray
from train.errors import UserError


def read_ids(path: Path, classes: Sequence[str], void: int | None) -> np.ndarray:
    """Labels of a mask whose values are class ids: grey levels, or the indices of a palette.

    Raises:
        UserError: a value is neither a class id nor `void`, or the mask is coloured.
    """
    image = open_image(path)
    indexed = image.mode in ("1", "P") or image.mode.startswith("I")
    values = np.asarray(image) if indexed else grey_levels(image, path)
    label = np.where(values == void, VOID, values)
    strange = (values != void) & (values >= len(classes))
    if strange.any():
        value = values[strange].flat[0]
        raise UserError(
            f"{path}: label {value} is neither a class (0 to {len(classes) - 1}) nor void ({void}); name "
            "every class with --data.classes or the void value with --data.void; for black and white masks "
            "pass --data.threshold 127"
        )
    return label.astype(np.uint8)


def read_threshold(path: Path, threshold: int) -> np.ndarray:
    """Labels of a black and white mask: 1 where it is shown brighter than a grey level of 0 to 255.

    A palette is looked up first, because the same white may have any index.

    Raises:
        UserError: the mask is coloured or has 16 bits.
    """
    image = open_image(path)
    return (grey_levels(image, path) > threshold).astype(np.uint8)


def read_colors(path: Path, colors: Sequence[tuple[int, int, int]], void: int | None) -> np.ndarray:
    """Labels of a mask that shows each class in its colour; the colour of rank `void` stands for no class.

    Raises:
        UserError: a colour is not in the table.
    """
    image = open_image(path)
    codes = shown_colors(image, path).astype(np.int32) @ (65536, 256, 1)
    table = np.array(colors) @ (65536, 256, 1)
    order = np.argsort(table)
    found = order[np.searchsorted(table, codes, sorter=order).clip(max=len(table) - 1)]
    strange = table[found] != codes
    if strange.any():
        raise UserError(
            f"{path}: colour {codes[strange].flat[0]:06x} is not in --data.colors; add it, or save the mask "
            "as PNG without smoothing if it is a mixture of others"
        )
    return np.where(found == void, VOID, found).astype(np.uint8)


def grey_levels(image: Image.Image, path: Path) -> np.ndarray:
    """The grey levels a mask is shown with, uint8 [h, w].

    Raises:
        UserError: it is coloured or has more than 8 bits.
    """
    shown = shown_colors(image, path)
    if not is_gray(shown):
        raise UserError(f"{path}: is coloured; say with --data.colors which colour stands for which class")
    return shown[..., 0]


def shown_colors(image: Image.Image, path: Path) -> np.ndarray:
    """The colours a mask is shown with, uint8 [h, w, 3].

    Raises:
        UserError: it is partly transparent or has more than 8 bits.
    """
    shown = opaque(image, path)
    if shown.mode not in ("1", "P", "L", "RGB"):
        raise UserError(f"{path}: is {describe_mode(shown.mode)}; save it as 8-bit grey, palette or RGB")
    return np.asarray(shown.convert("RGB"))
