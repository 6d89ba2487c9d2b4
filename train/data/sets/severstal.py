"""Severstal: steel sheet under a line-scan camera, four numbered defect classes, 12568 images of 1600x256."""

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder
from train.data.data_set import DataSet
from train.data.example import Example
from train.data.files import read_bytes
from train.data.formats.images import read_image
from train.data.sets.archive import Archive
from train.data.sets.split import Traits, draw, three_parts
from train.errors import UserError
from train.field_types import check_types

logger = logging.getLogger(__name__)

_CLASSES = ("background", "class 1", "class 2", "class 3", "class 4")
_ARCHIVE = Archive(
    "Severstal",
    "severstal-steel-defect-detection",
    "train.csv and train_images/*.jpg",
    patterns=("train.csv", "train_images"),
)
_TEST_FRACTION = (12568 - 8727) / 12568  # the paper trains on 8727 images drawn at random
_VALIDATION_FRACTION = 0.1  # of the images outside the test part

_Runs = Mapping[int, str]
"""Run lengths as text in the table, by class id."""


@dataclass(frozen=True)
class Severstal(DataSet):
    """Steel sheet with four classes of defects (Severstal, Kaggle 2019); takes --source."""

    seed: int = 0
    """Seed of the division into parts."""

    def __post_init__(self):
        check_types(Severstal, self, "data.")
        if self.seed < 0:
            raise UserError(f"data.seed: is {self.seed}, takes at least 0")

    def builder(self, *, data_dir: Path, source: Path | None) -> "SeverstalBuilder":
        """Return the builder of this division; the archive is read only if the division is not prepared."""
        return SeverstalBuilder(self.seed, data_dir=data_dir, source=source)


class SeverstalBuilder(SegmentationBuilder):
    """Writes the training images of the archive, named as their files.

    An image without a row in the table shows no defect. A copy may lack images, whose rows are then ignored;
    missing rows cannot be detected.
    """

    VERSION = tfds.core.Version("1.1.0")
    name = "severstal"

    def __init__(self, seed: int, *, data_dir: Path, source: Path | None):
        self.seed, self.source = seed, source
        super().__init__(_CLASSES, data_dir=data_dir / f"seed_{seed}")

    def items(self) -> Items:
        root = _ARCHIVE.root(self.source)
        runs = read_table(root / "train.csv")
        names = sorted(path.stem for path in (root / "train_images").glob("*.jpg"))
        _ARCHIVE.warn_of_missing(names, 12568)
        if unused := len(runs.keys() - set(names)):
            logger.warning("Severstal: %d images of train.csv are not there; their rows are left out", unused)
        traits = {name: Traits(name, frozenset({0, *runs.get(name, ())})) for name in names}
        test = draw(traits, _TEST_FRACTION, self.seed)
        parts = three_parts(traits, test, _VALIDATION_FRACTION, self.seed)
        return {
            part: [(root / "train_images" / f"{name}.jpg", runs.get(name, {})) for name in sorted(images)]
            for part, images in parts.items()
        }

    def example(self, item: tuple[Path, _Runs]) -> Example:
        path, runs = item
        pixels, encoded = read_image(path)
        return Example(path.stem, encoded, pixels, read_label(path, runs, pixels.shape[:2]))


def read_table(path: Path) -> dict[str, dict[int, str]]:
    """Return run lengths by image and class from either edition of train.csv.

    The newer edition has columns ImageId, ClassId and EncodedPixels, in any order; the older one has
    ImageId_ClassId and EncodedPixels, with empty cells for classes that an image does not show.

    Raises:
        UserError: the table cannot be read, has other columns, an unknown class or a row twice.
    """
    table: dict[str, dict[int, str]] = defaultdict(dict)
    content = read_bytes(path)
    try:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        columns = set(reader.fieldnames or ())
        if not (
            {"ImageId", "ClassId", "EncodedPixels"} <= columns
            or {"ImageId_ClassId", "EncodedPixels"} <= columns
        ):
            raise UserError(
                f"{path}: has the columns {', '.join(sorted(columns))}, not those of {_ARCHIVE.title}; "
                "unpack the archive again"
            )
        for row in reader:
            image, _, number = (
                row["ImageId_ClassId"].rpartition("_")
                if "ImageId_ClassId" in columns
                else (row["ImageId"], "", row["ClassId"])
            )
            _add_row(table, path, reader.line_num, image, number, row["EncodedPixels"])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); unpack the archive again") from error
    return dict(table)


def _add_row(
    table: dict[str, dict[int, str]],
    path: Path,
    line: int,
    image: str | None,
    number: str | None,
    runs: str | None,
) -> None:
    """Add a row to the table, unless its run lengths are empty."""
    if number not in {"1", "2", "3", "4"} or not image or runs is None:
        raise UserError(f"{path}, line {line}: is no row of {_ARCHIVE.title}; unpack the archive again")
    if not runs.strip():
        return
    name = Path(image).stem
    if int(number) in table[name]:
        raise UserError(f"{path}, line {line}: has class {number} of {image} a second time; remove one")
    table[name][int(number)] = runs


def read_label(image: Path, runs: _Runs, shape: tuple[int, ...]) -> np.ndarray:
    """Return the label of an image, uint8 [h, w], from the run lengths of its classes.

    Raises:
        UserError: run lengths are not numbers, leave the image or overlap.
    """
    label = np.zeros(shape, np.uint8)
    for k, text in runs.items():
        inside = decode_runs(image, k, text, shape)
        if label[inside].any():
            raise UserError(f"{image}: class {k} of train.csv overlaps another one; unpack the archive again")
        label[inside] = k
    return label


def decode_runs(image: Path, k: int, text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Decode "start length start length ..." to bool [h, w]; starts count from 1, down the columns."""
    height, width = shape
    problem = f"{image}: class {k} of train.csv has run lengths that "
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{problem}are no numbers; unpack the archive again") from error
    starts, lengths = numbers[0::2] - 1, numbers[1::2]
    if len(starts) != len(lengths) or (lengths < 1).any():
        raise UserError(f"{problem}are no pairs of a start and a length; unpack the archive again")
    ends = starts + lengths
    if (starts < 0).any() or (ends > height * width).any() or (starts[1:] < ends[:-1]).any():
        raise UserError(f"{problem}overlap or leave the image of {width}x{height}; unpack the archive again")
    steps = np.zeros(height * width + 1, np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape(width, height).T
