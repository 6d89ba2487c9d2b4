"""KolektorSDD2: color photographs of a production line's surfaces, 3335 images of about 230x630 pixels."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, read_example
from train.data.data_set import DataSet
from train.data.example import Example
from train.data.formats.label_images import read_threshold
from train.data.sets.archive import Archive, check_pairs
from train.data.sets.split import label_traits, three_parts
from train.run.log import progress

_ARCHIVE = Archive(
    "KolektorSDD2",
    "KolektorSDD2",
    "{train,test}/NNNNN.png and NNNNN_GT.png",
    patterns=("train", "test"),
)
_VALIDATION_FRACTION = 0.15  # of the official training part
_COPY = re.compile(r"\d{5}(_GT)?\W.*")  # "10000_GT (copy)"
_PUBLISHED = re.compile(r"\d{5}(_GT)?")


@dataclass(frozen=True)
class KolektorSDD2(DataSet):
    """Surfaces of a production line with scratches and spots (KolektorSDD2); takes --source."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "KolektorSDD2Builder":
        """Return the builder of the set; the archive is read only if the set is not prepared."""
        return KolektorSDD2Builder(data_dir=data_dir, source=source)


class KolektorSDD2Builder(SegmentationBuilder):
    """Writes the images of the archive, named "train/10000" even where they are drawn for validation."""

    VERSION = tfds.core.Version("1.1.0")
    name = "kolektor_sdd2"

    def __init__(self, *, data_dir: Path, source: Path | None):
        self.source = source
        super().__init__(("background", "defect"), data_dir=data_dir)

    def items(self) -> Items:
        root = _ARCHIVE.root(self.source)
        names = [*_find_images(root, "train"), *_find_images(root, "test")]
        _ARCHIVE.warn_of_missing(names, 3335)
        test = {name for name in names if name.startswith("test/")}
        traits = {
            name: label_traits(name, _read_label(root, name))
            for name in progress(sorted(set(names) - test), f"Reading the labels of {self.name}")
        }
        parts = three_parts(traits, test, _VALIDATION_FRACTION)
        return {part: [(root, name) for name in sorted(images)] for part, images in parts.items()}

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        return read_example(name, root / f"{name}.png", _label_path(root, name), _read_label(root, name))


def _label_path(root: Path, name: str) -> Path:
    return root / f"{name}_GT.png"


def _read_label(root: Path, name: str) -> np.ndarray:
    return read_threshold(_label_path(root, name), 127)


def _find_images(root: Path, folder: str) -> list[str]:
    """Return the names of the images in a folder, leaving out copies that a file manager has made.

    Raises:
        UserError: an image or label image is missing, or a file is not of the published set.
    """
    images, label_images = {}, {}
    for path in sorted((root / folder).glob("*.png")):
        if _PUBLISHED.fullmatch(path.stem):
            name = f"{folder}/{path.stem.removesuffix('_GT')}"
            (label_images if path.stem.endswith("_GT") else images)[name] = path
        elif not _COPY.fullmatch(path.stem):
            raise _ARCHIVE.unknown_file(path)
    check_pairs(images, label_images)
    return list(images)
