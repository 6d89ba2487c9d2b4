"""Terms used everywhere: the parts of the data, the void label, an example."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

PARTS = ("train", "validation", "test")
Size = tuple[int, int]
"""Height and width in pixels."""
VOID = 255
"""Label of a pixel that belongs to no class."""


class Example(NamedTuple):
    """An image and its label, checked and ready to be stored."""

    name: str
    """Unique within the data set: a relative path with "/" between folders, without file extension."""
    image: bytes
    """A JPEG or PNG file with 8 bits per channel: gray or RGB; other channels as by `png_bytes`."""
    pixels: np.ndarray
    """The image decoded: uint8 [h, w, c]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; `VOID` where a pixel has no class."""
    group: str | None = None
    """Images of one group show the same item; None if the image is a group of its own."""


@dataclass(frozen=True)
class Decoding:
    """Options that turn image files into 8-bit pixels."""

    levels: tuple[int, int] | None = None
    """The values that become 0 and 255 in images with more than 8 bits."""
    channels: int | None = None
    """Number of channels, taken as stored; None for gray or RGB."""


DEFAULT_DECODING = Decoding()
