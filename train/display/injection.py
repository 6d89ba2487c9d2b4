"""A picture of training images before and after a defect is pasted into each."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from train.data.cache import Batch
from train.data.pixels import channels_to_display
from train.display.pictures import enlarge, overlay

_COLUMN = 2.2
"""Width of an image, in inches."""
_LONGER_SIDE = 250
"""Pixels to which smaller images are enlarged, so that outlines are thin."""


def draw_injected(pairs: Sequence[tuple[Batch, Batch]]) -> Figure:
    """Draw one column for each image: with its label before, then after, without its label and with it.

    Args:
        pairs: each example before and after.
    """
    height, width, _ = pairs[0][0]["image"].shape
    size = (_COLUMN * len(pairs), 3 * _COLUMN * height / width)
    canvas = Figure(figsize=size, layout="constrained", dpi=120)
    axes = canvas.subplots(3, len(pairs), squeeze=False)
    for column, (before, after) in zip(axes.T, pairs, strict=True):
        rows = (_labeled(before), channels_to_display(after["image"]), _labeled(after))
        for place, pixels in zip(column, rows, strict=True):
            place.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            place.set(xticks=[], yticks=[])
    for place, title in zip(axes[:, 0], ("before", "after", "after, labels"), strict=True):
        place.set_ylabel(title)
    return canvas


def _labeled(example: Batch) -> np.ndarray:
    return overlay(*(enlarge(example[name], _LONGER_SIDE) for name in ("image", "label")))
