"""Prepared data sets: built once from the data of a config, then opened and read in random access."""

import functools
import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import imagecodecs
import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from PIL import Image

from train.data.builder import REBUILD, SegmentationBuilder, refuse_incomplete
from train.data.data_set import DataSet
from train.data.example import PARTS
from train.errors import UserError, writing
from train.run.lock import locked


class Record(TypedDict):
    """An example as read from a prepared set."""

    image: np.ndarray
    """uint8 [h, w, c]; all images of a set have the same number of channels."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 where a pixel has no class."""
    name: str


@dataclass(frozen=True)
class Part(Sequence[Record]):
    """The examples of one part in random access; files are opened at the first read, and each read decodes.

    Pickles are small and leave out open files, so that worker processes open their own.
    """

    directory: Path
    part: str
    channels: int
    sizes: tuple[tuple[int, int], ...]
    """(height, width) of each example."""
    present: tuple[tuple[int, ...], ...]
    """Class ids in the label of each example."""
    groups: tuple[str, ...]
    """Group of each example; examples of one group show the same item and are not independent."""

    @property
    def defective(self) -> list[bool]:
        """Whether each example shows a defect."""
        return [any(classes) for classes in self.present]

    @functools.cached_property
    def _records(self) -> Sequence[Mapping[str, Any]]:
        builder: Any = tfds.builder_from_directory(self.directory)
        undecoded = {"image": tfds.decode.SkipDecoding(), "label": tfds.decode.SkipDecoding()}
        return builder.as_data_source(self.part, decoders=undecoded)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: Any) -> Any:
        """Return the record at an index from 0 on."""
        encoded = self._encoded(index)
        return {
            "image": decode(encoded["image"], self.channels),
            "label": decode(encoded["label"], 1)[..., 0],
            "name": encoded["name"].decode(),
        }

    def names(self) -> tuple[str, ...]:
        """Return the name of each example; nothing is decoded."""
        return tuple(self._encoded(index)["name"].decode() for index in range(len(self)))

    def labels(self) -> Iterator[np.ndarray]:
        """Iterate over the labels, uint8 [h, w] each, without decoding the images."""
        return (decode(self._encoded(index)["label"], 1)[..., 0] for index in range(len(self)))

    def _encoded(self, index: int) -> Mapping[str, Any]:
        try:
            return self._records[index]
        except RuntimeError as error:  # from the checksums of array_record
            raise UserError(f"{self.directory}: its {self.part} part is damaged; {REBUILD}") from error

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_records"}


@dataclass(frozen=True)
class Prepared:
    """A complete data set on disk."""

    classes: tuple[str, ...]
    """Names by class id; class 0 is the background."""
    channels: int
    """Channels of every image: 1 if all are gray, 3 if some are RGB, or as many as the data set asks for."""
    fingerprint: str
    """Digest of the classes, images, labels and their division into parts."""
    parts: Mapping[str, Part]
    """By the names in `PARTS`."""

    def canvas(self, part: str) -> tuple[int, int]:
        """Return the smallest (height, width) that holds every example of a part."""
        heights, widths = zip(*self.parts[part].sizes, strict=True)
        return max(heights), max(widths)


def prepare(data: DataSet, *, data_dir: Path, source: Path | None = None) -> Prepared:
    """Open a prepared set, after building it if it is missing.

    A set is moved to its directory once it is complete; remains of an interrupted call are removed by the
    next one. A second process that prepares the same set waits for the first.

    Args:
        data: data set of a config.
        data_dir: folder of all prepared data.
        source: folder of an unpacked archive, for data sets that have one.

    Raises:
        UserError: a file is wrong; the message names the file and the remedy.
    """
    builder = data.builder(data_dir=data_dir, source=source)
    directory = Path(builder.data_path)
    if not directory.exists():
        remedy = "prepared data goes there: make room, or choose another --data-dir"
        with writing(f"{data_dir}", remedy), locked(directory.parent, wait=True):
            if not directory.exists():
                _build(builder)
    return open_prepared(directory)


def open_prepared(directory: Path) -> Prepared:
    """Open the prepared set in a directory.

    Raises:
        UserError: the set is incomplete, for instance after an interrupted copy.
    """
    with refuse_incomplete(directory):
        info = tfds.builder_from_directory(directory).info
        metadata: Any = info.metadata
        channels = metadata["channels"]
        parts = {
            part: Part(
                directory,
                part,
                channels,
                tuple((h, w) for h, w in metadata["sizes"][part]),
                tuple(map(tuple, metadata["present"][part])),
                tuple(metadata["groups"][part]),
            )
            for part in PARTS
        }
        data = Prepared(tuple(metadata["classes"]), channels, metadata["fingerprint"], parts)
        files = [(part, [str(path) for path in info.splits[part].filepaths]) for part in PARTS]
    for part, paths in files:
        stored, expected = sum(map(_count_records, paths)), len(parts[part])
        if stored != expected:
            raise UserError(f"{directory}: holds {stored} of {expected} images of its {part} part; {REBUILD}")
    return data


def _build(builder: SegmentationBuilder) -> None:
    """Write a set to a temporary folder beside its directory, then move it there."""
    directory = Path(builder.data_path)
    for incomplete in directory.parent.glob(f"incomplete.*_{directory.name}"):
        shutil.rmtree(incomplete)
    tfds.disable_progress_bar()  # TFDS has one for each of its own stages
    with tempfile.TemporaryDirectory() as downloads:
        builder.download_and_prepare(file_format="array_record", download_dir=downloads)


def _count_records(path: str) -> int:
    """Return the number of records in an array_record file; 0 if the index at its end is cut off."""
    reader = ArrayRecordReader(path)
    try:
        number = reader.num_records()
        reader.close()  # raises the errors of opening and reading
    except RuntimeError:
        return 0
    return number


def decode(encoded: bytes, channels: int) -> np.ndarray:
    """Return the pixels of a stored image, uint8 [h, w, channels]."""
    if channels not in (1, 3):  # stored below one another, which may be more pixels than Pillow opens
        return np.stack(np.split(imagecodecs.png_decode(encoded), channels), -1)
    with Image.open(io.BytesIO(encoded)) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)
