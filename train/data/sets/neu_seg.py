"""NEU-Seg: hot-rolled steel strip with inclusions, patches and scratches, 200x200 pixels, 4470 images.

The official split leaks: 810 of its 840 test images are rotations of training images. The table beside this
file says which files show the same photograph, so that another split can keep each on one side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder
from train.data.example import DataSet, Example
from train.data.formats.images import check_sizes, read_image
from train.data.formats.label_images import read_ids
from train.data.sets.original import Original
from train.data.sets.split import Traits, draw, with_validation
from train.errors import UserError
from train.run.log import progress

CLASSES = ("background", "inclusion", "patches", "scratches")
TEST_SHARE = 840 / 4470  # as in the official split
VALIDATION_SHARE = 0.1  # of what is not test
PHOTOGRAPHS = Path(__file__).with_name("neu_seg_groups.txt")
ORIGINAL = Original(
    "NEU-Seg",
    "NEU_Seg",
    "images/{training,test}/NNNNNN.jpg and annotations/{training,test}/NNNNNN.png",
    inside=("images", "annotations"),
)


@dataclass(frozen=True)
class NeuSeg(DataSet):
    """Hot-rolled steel with inclusions, patches and scratches (NEU-Seg); takes --source."""

    split: Literal["grouped", "official"] = "grouped"
    """"grouped" keeps each photograph on one side; "official" leaks, and compares with published figures."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "NeuSegSurfaces":
        """The builder of this split; it reads the original only if the set is not prepared."""
        return NeuSegSurfaces(self.split, read_photographs(PHOTOGRAPHS), data_dir=data_dir, source=source)


class NeuSegSurfaces(SegmentationBuilder):
    """Writes the images of the original, named "training/000201" as the stems occur in both splits."""

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar = {
        "1.2.0": "Raised whenever the division into parts, or what is kept about an image, changes."
    }
    name = "neu_seg"

    def __init__(self, split: str, photographs: Mapping[str, str], *, data_dir: Path, source: Path | None):
        """`photographs` gives for each file, named as its example, the photograph that it shows."""
        self.split, self.photographs, self.source = split, photographs, source
        super().__init__(CLASSES, data_dir=data_dir / split)

    def items(self) -> Items:
        root = ORIGINAL.root(self.source)
        check_files(root, self.photographs)
        traits = {
            name: Traits(self.photographs[name], frozenset(np.unique(read_label(root, name)).tolist()))
            for name in progress(sorted(self.photographs), "Reading the labels of neu_seg")
        }
        if self.split == "official":
            test = {name for name in traits if name.startswith("test/")}
        else:
            test = draw(traits, TEST_SHARE, seed=0)
        parts = with_validation(traits, test, VALIDATION_SHARE)
        return {part: [(root, name) for name in sorted(names)] for part, names in parts.items()}

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        image, mask = root / "images" / f"{name}.jpg", mask_path(root, name)
        pixels, encoded = read_image(image)
        label = read_label(root, name)
        check_sizes(image, pixels, mask, label)
        return Example(name, encoded, pixels, label, self.photographs[name])


def mask_path(root: Path, name: str) -> Path:
    """Where an image's mask lies."""
    return root / "annotations" / f"{name}.png"


def read_label(root: Path, name: str) -> np.ndarray:
    """The labels of an image, uint8 [h, w]; the originals hold class ids."""
    return read_ids(mask_path(root, name), CLASSES, void=None)


def read_photographs(table: Path) -> dict[str, str]:
    """For each file of NEU-Seg, as "training/000201", a name of the photograph that it shows."""
    splits = {"r": "training", "t": "test"}
    photographs = {}
    for line in table.read_text().splitlines():
        if not line.startswith("#"):
            names = [f"{splits[file[0]]}/{file[1:]}" for file in line.split()]
            photographs |= dict.fromkeys(names, names[0])
    return photographs


def check_files(root: Path, expected: Mapping[str, str]) -> None:
    """Raise a UserError unless the files are those of the published set."""
    for folder, suffix in (("images", ".jpg"), ("annotations", ".png")):
        found = {f"{path.parent.name}/{path.stem}" for path in (root / folder).glob(f"*/*{suffix}")}
        if missing := sorted(expected.keys() - found):
            raise UserError(
                f"{root / folder / missing[0]}{suffix}: missing, with {len(missing) - 1} more of NEU-Seg's "
                f"{len(expected)}; unpack the original again"
            )
        if strange := sorted(found - expected.keys()):
            raise UserError(
                f"{root / folder / strange[0]}{suffix}: no file of NEU-Seg; remove it, or use the folder "
                "with configs/folder.py"
            )
