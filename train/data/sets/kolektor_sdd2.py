"""KolektorSDD2: colour photographs of a production line's surfaces, 3335 images of about 230x630 pixels."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder
from train.data.example import DataSet, Example
from train.data.formats.images import check_sizes, read_image
from train.data.formats.label_images import read_threshold
from train.data.sets.original import Original, check_pairs
from train.data.sets.split import Traits, with_validation
from train.errors import UserError
from train.run.log import progress

CLASSES = ("background", "defect")
ORIGINAL = Original(
    "KolektorSDD2",
    "KolektorSDD2",
    "{train,test}/NNNNN.png and NNNNN_GT.png",
    inside=("train", "test"),
)
VALIDATION_SHARE = 0.15  # of the official training part
COPY = re.compile(r"\d{5}(_GT)?\W.*")  # "10000_GT (copy)"
PUBLISHED = re.compile(r"\d{5}(_GT)?")


@dataclass(frozen=True)
class KolektorSDD2(DataSet):
    """Surfaces of a production line with scratches and spots (KolektorSDD2); takes --source."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "KolektorSDD2Surfaces":
        """The builder of the set; it reads the original only if the set is not prepared."""
        return KolektorSDD2Surfaces(data_dir=data_dir, source=source)


class KolektorSDD2Surfaces(SegmentationBuilder):
    """Writes the images of the original, named "train/10000"; what validation has, its train part lacks."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {
        "1.1.0": "Raised whenever the division into parts, or what is kept about an image, changes."
    }
    name = "kolektor_sdd2"

    def __init__(self, *, data_dir: Path, source: Path | None):
        self.source = source
        super().__init__(CLASSES, data_dir=data_dir)

    def items(self) -> Items:
        root = ORIGINAL.root(self.source)
        names = [*find_images(root, "train"), *find_images(root, "test")]
        ORIGINAL.count(names, 3335)
        test = {name for name in names if name.startswith("test/")}
        rest = {
            name: Traits(name, frozenset(np.unique(read_label(root, name)).tolist()))
            for name in progress(sorted(set(names) - test), f"Reading the masks of {self.name}")
        }
        parts = with_validation(rest, test, VALIDATION_SHARE)
        return {part: [(root, name) for name in sorted(images)] for part, images in parts.items()}

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        image = root / f"{name}.png"
        pixels, encoded = read_image(image)
        label = read_label(root, name)
        check_sizes(image, pixels, mask_path(root, name), label)
        return Example(name, encoded, pixels, label)


def mask_path(root: Path, name: str) -> Path:
    """Where an image's mask lies."""
    return root / f"{name}_GT.png"


def read_label(root: Path, name: str) -> np.ndarray:
    """The labels of an image, uint8 [h, w]."""
    return read_threshold(mask_path(root, name), 127)


def find_images(root: Path, folder: str) -> list[str]:
    """Names of a folder's images, all with their masks; copies that somebody's file manager made are skipped.

    Raises:
        UserError: an image or mask is missing, or a file is none of the set's.
    """
    images, masks = {}, {}
    for path in sorted((root / folder).glob("*.png")):
        if PUBLISHED.fullmatch(path.stem):
            name = f"{folder}/{path.stem.removesuffix('_GT')}"
            (masks if path.stem.endswith("_GT") else images)[name] = path
        elif not COPY.fullmatch(path.stem):
            raise UserError(f"{path}: no file of {ORIGINAL.title}; remove it")
    check_pairs(images, masks)
    return list(images)
