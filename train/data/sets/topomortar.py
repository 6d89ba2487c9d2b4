"""TopoMortar: color photographs of brick walls with mortar between the bricks, 120 images of 512x512 pixels.

The images of the training and validation parts have labels of three kinds: accurate labels, with lines of
mortar 7 to 8 pixels wide; pseudo labels, whose lines are too wide (in the training part the IoU with the
accurate labels is .84 and the ratio of their areas 1.17); and noisy labels, whose lines are too thin and
interrupted (.40 and .43).

The files are a repackaged part of the published ones (Valverde et al., BMVC 2025): images are JPEG, each
folder of images or labels has a folder for each part, and the 300 out-of-distribution test images are absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, read_example
from train.data.data_set import DataSet
from train.data.example import Example
from train.data.formats.label_images import read_threshold
from train.data.sets.archive import Archive, missing_file
from train.field_types import check_types

NAMES = {
    "train": [f"train/{number:03}" for number in range(1, 51)],
    "validation": [f"val/{number:03}" for number in range(51, 71)],
    "test": [f"test/{number:03}" for number in range(71, 121)],
}
"""Names of the images in each part of the official split."""
_ARCHIVE = Archive(
    "TopoMortar",
    "topomortar",
    "images/{train,val,test}/NNN.jpg, accurate/{train,val,test}/NNN.png and "
    "{pseudo,noisy}/{train,val}/NNN.png",
    patterns=("images", "accurate"),
)

_Labels = Literal["accurate", "pseudo", "noisy"]


@dataclass(frozen=True)
class TopoMortar(DataSet):
    """Brick walls with accurate or badly drawn labels of the mortar (TopoMortar); takes --source."""

    labels: _Labels = "accurate"
    """Labels of the training part; the test part always has accurate labels."""
    validation_labels: _Labels | None = None
    """Labels of the validation part; None for the same kind as in the training part."""

    def __post_init__(self):
        check_types(TopoMortar, self, "data.")

    def builder(self, *, data_dir: Path, source: Path | None) -> "TopoMortarBuilder":
        """Return the builder for these labels; the archive is read only if they are not prepared."""
        validation_labels = self.validation_labels or self.labels
        return TopoMortarBuilder(self.labels, validation_labels, NAMES, data_dir=data_dir, source=source)


class TopoMortarBuilder(SegmentationBuilder):
    """Writes the images of the archive, named "train/001", each part with one kind of labels."""

    VERSION = tfds.core.Version("1.0.0")
    name = "topomortar"

    def __init__(
        self,
        labels: str,
        validation_labels: str,
        names: Mapping[str, Sequence[str]],
        *,
        data_dir: Path,
        source: Path | None,
    ):
        """`names` holds the names of the published images by part."""
        self.labels = {"train": labels, "validation": validation_labels, "test": "accurate"}
        self.names, self.source = names, source
        super().__init__(("background", "mortar"), data_dir=data_dir / f"{labels}_{validation_labels}")

    def items(self) -> Items:
        root = _ARCHIVE.root(self.source)
        for part, names in self.names.items():
            _check_files([_image_path(root, name) for name in names])
            _check_files([_label_path(root, self.labels[part], name) for name in names])
        return {
            part: [(root, self.labels[part], name) for name in names] for part, names in self.names.items()
        }

    def example(self, item: tuple[Path, str, str]) -> Example:
        root, labels, name = item
        label_image = _label_path(root, labels, name)
        return read_example(name, _image_path(root, name), label_image, read_threshold(label_image, 0))


def _image_path(root: Path, name: str) -> Path:
    return root / "images" / f"{name}.jpg"


def _label_path(root: Path, labels: str, name: str) -> Path:
    return root / labels / f"{name}.png"


def _check_files(published: Sequence[Path]) -> None:
    """Raise a UserError unless a folder holds the published files and no others with their extension."""
    files = set(published[0].parent.glob(f"*{published[0].suffix}"))
    if missing := sorted(set(published) - files):
        raise missing_file(missing[0], len(missing) - 1)
    if unknown := sorted(files - set(published)):
        raise _ARCHIVE.unknown_file(unknown[0])
