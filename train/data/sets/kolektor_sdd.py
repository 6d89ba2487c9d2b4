"""KolektorSDD: gray photographs of electrical commutators with fractures, 399 images of 50 items.

Two pairs of items are the same photographs under two names, labeled twice; each pair is split by the official
folds.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, read_example
from train.data.data_set import DataSet
from train.data.example import Example
from train.data.formats.label_images import read_threshold
from train.data.sets.archive import Archive, check_pairs
from train.data.sets.split import Traits, draw
from train.field_types import check_types

ITEMS = range(1, 51)
FOLDS = (
    {2, 8, 9, 10, 15, 19, 21, 25, 27, 28, 30, 37, 38, 41, 43, 46, 47},
    {1, 3, 4, 6, 11, 17, 22, 24, 29, 31, 32, 36, 39, 40, 42, 44, 48},
    {5, 7, 12, 13, 14, 16, 18, 20, 23, 26, 33, 34, 35, 45, 49, 50},
)
"""Numbers of the items in each official test part; the other items are for training."""
TWINS = {34: 27, 1: 26}
"""Items by their twins; they go to the fold of the twin, which keeps the folds of about equal size."""
_VALIDATION_FRACTION = 1 / 5  # of the items outside the test part
_ARCHIVE = Archive(
    "KolektorSDD",
    "KolektorSDD",
    "kosNN/PartM.jpg and PartM_label.bmp",
    patterns=("kos*",),
)


@dataclass(frozen=True)
class KolektorSDD(DataSet):
    """Electrical commutators with fractures (KolektorSDD); takes --source."""

    split: Literal["grouped", "official"] = "grouped"
    """"grouped" keeps items that show the same in one part; "official" leaks two."""
    fold: Literal[0, 1, 2] = 0
    """The third of the items that is the test part."""

    def __post_init__(self):
        check_types(KolektorSDD, self, "data.")

    def builder(self, *, data_dir: Path, source: Path | None) -> "KolektorSDDBuilder":
        """Return the builder of this fold; the archive is read only if the fold is not prepared."""
        return KolektorSDDBuilder(self.split, self.fold, data_dir=data_dir, source=source)


class KolektorSDDBuilder(SegmentationBuilder):
    """Writes the images of the archive, named "kos01/Part0"; a copy may lack some of them."""

    VERSION = tfds.core.Version("1.1.0")
    name = "kolektor_sdd"

    def __init__(self, split: str, fold: int, *, data_dir: Path, source: Path | None):
        self.split, self.fold, self.source = split, fold, source
        super().__init__(("background", "defect"), data_dir=data_dir / f"{split}_{fold}")

    def items(self) -> Items:
        root = _ARCHIVE.root(self.source)
        names = _find_images(root)
        _ARCHIVE.warn_of_missing(names, 399)
        parts = divide(self.split, self.fold, {_item(name) for name in names})
        return {part: [(root, name) for name in names if _item(name) in parts[part]] for part in parts}

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        label_image = root / f"{name}_label.bmp"
        # Some label images are gray, some have a palette, and one of these has two shades for the defect.
        label = read_threshold(label_image, 0)
        return read_example(name, root / f"{name}.jpg", label_image, label, _group(name))


def divide(split: str, fold: int, items: Collection[int]) -> dict[str, set[int]]:
    """Return the numbers of the items by part: the test part is the fold's, validation is drawn."""
    twins = TWINS if split == "grouped" else {}
    test = {item for item in items if twins.get(item, item) in FOLDS[fold]}
    others = {f"{k:02}": Traits(f"{twins.get(k, k):02}", frozenset({0, 1})) for k in items if k not in test}
    validation = {int(k) for k in draw(others, _VALIDATION_FRACTION, seed=0)}
    return {"train": {int(k) for k in others} - validation, "validation": validation, "test": test}


def _group(name: str) -> str:
    """Return the item that an image shows, "kos01"; equal for twins, in the official folds as well."""
    item = _item(name)
    return f"kos{TWINS.get(item, item):02}"


def _item(name: str) -> int:
    """Return the number of an image's item: 1 for "kos01/Part0"."""
    return int(name[3:5])


def _find_images(root: Path) -> list[str]:
    """Return the names of the images, in order.

    Raises:
        UserError: an image or label image is missing, or a file is not of the published set.
    """
    images, label_images = {}, {}
    for path in sorted(root.glob("*/*.jpg")) + sorted(root.glob("*/*.bmp")):
        name = path.relative_to(root).with_suffix("").as_posix()
        (images if path.suffix == ".jpg" else label_images)[name.removesuffix("_label")] = path
    check_pairs(images, label_images)
    if unknown := [name for name in images if not _is_published(name)]:
        raise _ARCHIVE.unknown_file(images[unknown[0]])
    return list(images)


def _is_published(name: str) -> bool:
    """Return whether the published set may contain an image of a name."""
    item, _, part = name.partition("/")
    return item in {f"kos{number:02}" for number in ITEMS} and part in {f"Part{k}" for k in range(8)}
