"""The base of the data sets that a config names; it loads neither TFDS nor PIL."""

import abc
from pathlib import Path
from typing import TYPE_CHECKING

from train.data.example import DEFAULT_DECODING, Decoding

if TYPE_CHECKING:
    from train.data.builder import SegmentationBuilder


class DataSet(abc.ABC):
    """A data set that a config names; subclasses are frozen dataclasses of plain fields."""

    @abc.abstractmethod
    def builder(self, *, data_dir: Path, source: Path | None) -> "SegmentationBuilder":
        """Return the builder of this set, prepared or not, under `data_dir`.

        Args:
            data_dir: folder of prepared data.
            source: folder of an unpacked archive; None where there is none or the set is prepared.
        """

    @property
    def decoding(self) -> Decoding:
        """The options that read the images of this set, and similar images."""
        return DEFAULT_DECODING
