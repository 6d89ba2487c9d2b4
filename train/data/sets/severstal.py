"""Severstal: steel sheet under a line-scan camera, four numbered defect classes, 12568 images of 1600x256."""

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder
from train.data.example import DataSet, Example
from train.data.formats.images import read_bytes, read_image
from train.data.sets.original import Original
from train.data.sets.split import Traits, draw, with_validation
from train.errors import UserError

logger = logging.getLogger(__name__)

CLASSES = ("background", "class 1", "class 2", "class 3", "class 4")
ORIGINAL = Original(
    "Severstal",
    "severstal-steel-defect-detection",
    "train.csv and train_images/*.jpg",
    inside=("train.csv", "train_images"),
)
TEST_SHARE = (12568 - 8727) / 12568  # the paper trains on 8727 images drawn at random
VALIDATION_SHARE = 0.1  # of what is not test

Runs = Mapping[int, str]
"""For each class id that an image shows its run lengths, as the table has them."""


@dataclass(frozen=True)
class Severstal(DataSet):
    """Steel sheet with four classes of defects (Severstal, Kaggle 2019); takes --source."""

    seed: int = 0
    """Another seed, other parts."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "SeverstalSurfaces":
        """The builder of this division; it reads the original only if the set is not prepared."""
        return SeverstalSurfaces(self.seed, data_dir=data_dir, source=source)


class SeverstalSurfaces(SegmentationBuilder):
    """Writes the images of the original's training part, named as their files.

    An image without a row in the table shows no defect. Copies that lack images are taken as they are, and
    their rows left out; the rows of images that are there have to be there, which nothing can check.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {
        "1.1.0": "Raised whenever the division into parts, or what is kept about an image, changes."
    }
    name = "severstal"

    def __init__(self, seed: int, *, data_dir: Path, source: Path | None):
        self.seed, self.source = seed, source
        super().__init__(CLASSES, data_dir=data_dir / f"seed_{seed}")

    def items(self) -> Items:
        root = ORIGINAL.root(self.source)
        runs = read_table(root / "train.csv")
        names = sorted(path.stem for path in (root / "train_images").glob("*.jpg"))
        ORIGINAL.count(names, 12568)
        if without := len(runs.keys() - set(names)):
            logger.warning(
                "Severstal: %d images of train.csv are not there; their rows are left out", without
            )
        traits = {name: Traits(name, frozenset({0, *runs.get(name, ())})) for name in names}
        test = draw(traits, TEST_SHARE, self.seed)
        parts = with_validation(traits, test, VALIDATION_SHARE, self.seed)
        return {
            part: [(root / "train_images" / f"{name}.jpg", runs.get(name, {})) for name in sorted(images)]
            for part, images in parts.items()
        }

    def example(self, item: tuple[Path, Runs]) -> Example:
        path, runs = item
        pixels, encoded = read_image(path)
        return Example(path.stem, encoded, pixels, read_label(path, runs, pixels.shape[:2]))


def read_table(path: Path) -> dict[str, dict[int, str]]:
    """Run lengths by image and class, from either edition of train.csv.

    One has columns ImageId, ClassId and EncodedPixels, in any order, the older one ImageId_ClassId and
    EncodedPixels, with empty cells for classes that an image does not show.

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
                f"{path}: has the columns {', '.join(sorted(columns))}, not those of {ORIGINAL.title}; "
                "unpack the original again"
            )
        for row in reader:
            image, _, number = (
                row["ImageId_ClassId"].rpartition("_")
                if "ImageId_ClassId" in columns
                else (row["ImageId"], "", row["ClassId"])
            )
            add_row(table, path, reader.line_num, image, number, row["EncodedPixels"])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); unpack the original again") from error
    return dict(table)


def add_row(
    table: dict[str, dict[int, str]],
    path: Path,
    line: int,
    image: str | None,
    number: str | None,
    runs: str | None,
) -> None:
    """Put a row into the table, unless it says that a class is absent."""
    if number not in {"1", "2", "3", "4"} or not image or runs is None:
        raise UserError(f"{path}, line {line}: is no row of {ORIGINAL.title}; unpack the original again")
    if not runs.strip():
        return
    name = Path(image).stem
    if int(number) in table[name]:
        raise UserError(f"{path}, line {line}: has class {number} of {image} a second time; remove one")
    table[name][int(number)] = runs


def read_label(image: Path, runs: Runs, shape: tuple[int, ...]) -> np.ndarray:
    """The labels of an image, uint8 [h, w], from the run lengths of its classes.

    Raises:
        UserError: run lengths are no numbers, leave the image or overlap.
    """
    label = np.zeros(shape, np.uint8)
    for k, text in runs.items():
        here = decode_runs(image, k, text, shape)
        if label[here].any():
            raise UserError(
                f"{image}: class {k} of train.csv overlaps another one; unpack the original again"
            )
        label[here] = k
    return label


def decode_runs(image: Path, k: int, text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Where a class is, bool [h, w], from "start length start length ...": from 1 on, down the columns."""
    height, width = shape
    problem = f"{image}: class {k} of train.csv has run lengths that "
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{problem}are no numbers; unpack the original again") from error
    starts, lengths = numbers[0::2] - 1, numbers[1::2]
    if len(starts) != len(lengths) or (lengths < 1).any():
        raise UserError(f"{problem}are no pairs of a start and a length; unpack the original again")
    ends = starts + lengths
    if (starts < 0).any() or (ends > height * width).any() or (starts[1:] < ends[:-1]).any():
        raise UserError(f"{problem}overlap or leave the image of {width}x{height}; unpack the original again")
    steps = np.zeros(height * width + 1, np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape(width, height).T
