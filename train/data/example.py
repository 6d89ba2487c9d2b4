"""The terms that all rooms share: parts, the void label, an example, a data set."""

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from train.data.builder import SegmentationBuilder

PARTS = ("train", "validation", "test")
Size = tuple[int, int]
"""Height and width in pixels."""
VOID = 255
"""The stored label of a pixel that belongs to no class."""


class Example(NamedTuple):
    """One picture and its labels, checked and ready to be stored."""

    name: str
    """Unique within the set, relative, with "/" between folders, without file extension."""
    image: bytes
    """A JPEG or PNG file of 8 bits a channel: grey or RGB; of other channels `png_bytes`."""
    pixels: np.ndarray
    """The image decoded: uint8 [h, w, c]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; `VOID` where a pixel has no class."""
    group: str | None = None
    """Images of one group show the same item; None where an image stands for itself."""


@dataclass(frozen=True)
class Decoding:
    """How image files become 8-bit pixels."""

    levels: tuple[int, int] | None = None
    """Of images with more than 8 bits: the values that become 0 and 255."""
    channels: int | None = None
    """Number of channels, taken as stored; None for grey or RGB."""


class DataSet(abc.ABC):
    """What a config holds as its data: a frozen dataclass of plain fields."""

    @abc.abstractmethod
    def builder(self, *, data_dir: Path, source: Path | None) -> "SegmentationBuilder":
        """The builder of this set, prepared or not, under `data_dir`."""

    @property
    def decoding(self) -> Decoding:
        """How the images of this set, and images like them, are read."""
        return Decoding()
