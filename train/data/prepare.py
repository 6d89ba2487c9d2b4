"""From the data of a configuration to a prepared set: built where it is missing, then opened."""

import functools
import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from PIL import Image

from train.data.builder import REBUILD, SegmentationBuilder, halves_refused
from train.data.example import PARTS, DataSet
from train.errors import UserError, writing
from train.run.lock import locked


class Record(TypedDict):
    """One example as it is read."""

    image: np.ndarray
    """uint8 [h, w, c], c the same throughout a set."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 where a pixel has no class."""
    name: str


@dataclass(frozen=True)
class Part(Sequence[Record]):
    """The examples of one part in random access; decoded when asked for, opened when first read.

    Small and picklable: what is open stays behind, so that worker processes open their own.
    """

    directory: Path
    part: str
    channels: int
    sizes: tuple[tuple[int, int], ...]
    """(height, width) of each example."""
    present: tuple[tuple[int, ...], ...]
    """Ids of the classes that each example shows."""
    groups: tuple[str, ...]
    """What each example shows: those of one name are no independent examples."""

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
        """The record at a position from 0 on."""
        try:
            record = self._records[index]
        except RuntimeError as error:  # of array_record, whose checksums find any change
            raise UserError(f"{self.directory}: its {self.part} part is damaged; {REBUILD}") from error
        return {
            "image": decode(record["image"], self.channels),
            "label": decode(record["label"], 1)[..., 0],
            "name": record["name"].decode(),
        }

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_records"}


@dataclass(frozen=True)
class Prepared:
    """A data set on disk, whole and checked."""

    classes: tuple[str, ...]
    """Names by class id; class 0 is the background."""
    channels: int
    """Of every image: 1 when all are grey, 3 when some are RGB; any other number has been asked for."""
    fingerprint: str
    """Digest of the classes, images, labels and their division into parts; equal content, equal digest."""
    parts: Mapping[str, Part]
    """"train", "validation" and "test"."""

    def canvas(self, part: str) -> tuple[int, int]:
        """The smallest (height, width) that every example of a part fits into."""
        heights, widths = zip(*self.parts[part].sizes, strict=True)
        return max(heights), max(widths)


def prepare(data: DataSet, *, data_dir: Path, source: Path | None = None) -> Prepared:
    """Open a prepared set, after building it if it is not there.

    A set appears under its name only when it is whole; what an interrupted call has left is removed by the
    next one. A second process that wants the same set waits for the first.

    Args:
        data: what the configuration holds.
        data_dir: where prepared data lives.
        source: the folder of an unpacked original, for the sets that have one.

    Raises:
        UserError: something is wrong with the files; the text names the file and the remedy.
    """
    builder = data.builder(data_dir=data_dir, source=source)
    place = Path(builder.data_path)
    if not place.exists():
        remedy = "prepared data goes there: make room, or choose another --data-dir"
        with writing(f"{data_dir}", remedy), locked(place.parent, wait=True):
            if not place.exists():
                build(builder)
    return open_prepared(place)


def build(builder: SegmentationBuilder) -> None:
    """Write a set, first beside its place and then, whole, into it."""
    place = Path(builder.data_path)
    for leftover in place.parent.glob(f"incomplete.*_{place.name}"):
        shutil.rmtree(leftover)
    tfds.disable_progress_bar()  # TFDS has one for each of its own stages
    with tempfile.TemporaryDirectory() as downloads:
        builder.download_and_prepare(file_format="array_record", download_dir=downloads)


def open_prepared(directory: Path) -> Prepared:
    """The set that was built in a directory.

    Raises:
        UserError: it is not whole, as after a copy that was cut off.
    """
    with halves_refused(directory):
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
        found, wanted = sum(map(records_in, paths)), len(parts[part])
        if found != wanted:
            raise UserError(f"{directory}: holds {found} of {wanted} images of its {part} part; {REBUILD}")
    return data


def records_in(path: str) -> int:
    """The number of records in an array_record file; 0 if it is cut off, as its index is at the end."""
    reader = ArrayRecordReader(path)
    try:
        number = reader.num_records()
        reader.close()  # says what was wrong with the file all the time
    except RuntimeError:
        return 0
    return number


def decode(encoded: bytes, channels: int) -> np.ndarray:
    """The pixels of a stored image, uint8 [h, w, channels]."""
    with Image.open(io.BytesIO(encoded)) as image:
        if channels not in (1, 3):  # one below the other
            tall = np.asarray(image)
            return np.stack(np.split(tall, channels), -1)
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)
