"""NEU-Seg: hot-rolled steel strip with inclusions, patches and scratches, 200x200 pixels, 4470 images.

The official split leaks: 810 of its 840 test images are rotations of training images. The table beside this
file lists the images of each photograph, so that in another split a photograph stays in one part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, read_example
from train.data.data_set import DataSet
from train.data.example import Example
from train.data.formats.label_images import read_ids
from train.data.sets.archive import Archive, missing_file, read_group_table
from train.data.sets.split import draw, label_traits, three_parts
from train.field_types import check_types
from train.run.log import progress

_PHOTOGRAPHS = Path(__file__).with_name("neu_seg_groups.txt")
_CLASSES = ("background", "inclusion", "patches", "scratches")
_TEST_FRACTION = 840 / 4470  # as in the official split
_VALIDATION_FRACTION = 0.1  # of the images outside the test part
_ARCHIVE = Archive(
    "NEU-Seg",
    "NEU_Seg",
    "images/{training,test}/NNNNNN.jpg and annotations/{training,test}/NNNNNN.png",
    patterns=("images", "annotations"),
)


@dataclass(frozen=True)
class NeuSeg(DataSet):
    """Hot-rolled steel with inclusions, patches and scratches (NEU-Seg); takes --source."""

    split: Literal["grouped", "official"] = "grouped"
    """"grouped" keeps each photograph in one part; "official" leaks, and compares with published figures."""

    def __post_init__(self):
        check_types(NeuSeg, self, "data.")

    def builder(self, *, data_dir: Path, source: Path | None) -> "NeuSegBuilder":
        """Return the builder of this split; the archive is read only if the split is not prepared."""
        return NeuSegBuilder(self.split, read_photographs(), data_dir=data_dir, source=source)


class NeuSegBuilder(SegmentationBuilder):
    """Writes the images of the archive, named "training/000201", as file names occur in both its folders."""

    VERSION = tfds.core.Version("1.2.0")
    name = "neu_seg"

    def __init__(self, split: str, photographs: Mapping[str, str], *, data_dir: Path, source: Path | None):
        """`photographs` holds the photograph that each image shows, by the name of its example."""
        self.split, self.photographs, self.source = split, photographs, source
        super().__init__(_CLASSES, data_dir=data_dir / split)

    def items(self) -> Items:
        root = _ARCHIVE.root(self.source)
        _check_files(root, self.photographs)
        traits = {
            name: label_traits(self.photographs[name], _read_label(root, name))
            for name in progress(sorted(self.photographs), f"Reading the labels of {self.name}")
        }
        if self.split == "official":
            test = {name for name in traits if name.startswith("test/")}
        else:
            test = draw(traits, _TEST_FRACTION, seed=0)
        parts = three_parts(traits, test, _VALIDATION_FRACTION)
        return {part: [(root, name) for name in sorted(names)] for part, names in parts.items()}

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        image = root / "images" / f"{name}.jpg"
        label = _read_label(root, name)
        return read_example(name, image, _label_path(root, name), label, self.photographs[name])


def read_photographs() -> dict[str, str]:
    """Return the photograph that each image shows, as the name of the photograph's first image."""
    folders = {"r": "training", "t": "test"}
    return read_group_table(_PHOTOGRAPHS, lambda entry: f"{folders[entry[0]]}/{entry[1:]}")


def _label_path(root: Path, name: str) -> Path:
    return root / "annotations" / f"{name}.png"


def _read_label(root: Path, name: str) -> np.ndarray:
    return read_ids(_label_path(root, name), _CLASSES, void=None)


def _check_files(root: Path, published: Mapping[str, str]) -> None:
    """Raise a UserError unless the files are those of the published set."""
    for folder, suffix in (("images", ".jpg"), ("annotations", ".png")):
        names = {f"{path.parent.name}/{path.stem}" for path in (root / folder).glob(f"*/*{suffix}")}
        if missing := sorted(published.keys() - names):
            raise missing_file(root / folder / f"{missing[0]}{suffix}", len(missing) - 1)
        if unknown := sorted(names - published.keys()):
            raise _ARCHIVE.unknown_file(root / folder / f"{unknown[0]}{suffix}")
