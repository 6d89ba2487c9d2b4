"""KolektorSDD: grey photographs of electrical commutators with fractures, 399 images of 50 items.

Two pairs of items are the same photographs under two names, labelled twice, and the official folds put each
pair on both sides.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder
from train.data.example import DataSet, Example
from train.data.formats.images import check_sizes, read_image
from train.data.formats.label_images import read_threshold
from train.data.sets.original import Original, check_pairs
from train.data.sets.split import Traits, draw
from train.errors import UserError

CLASSES = ("background", "defect")
ORIGINAL = Original(
    "KolektorSDD",
    "KolektorSDD",
    "kosNN/PartM.jpg and PartM_label.bmp",
    inside=("kos*",),
)
ITEMS = range(1, 51)
FOLDS = (
    {2, 8, 9, 10, 15, 19, 21, 25, 27, 28, 30, 37, 38, 41, 43, 46, 47},
    {1, 3, 4, 6, 11, 17, 22, 24, 29, 31, 32, 36, 39, 40, 42, 44, 48},
    {5, 7, 12, 13, 14, 16, 18, 20, 23, 26, 33, 34, 35, 45, 49, 50},
)
"""Numbers of the items in each official test part; the other items are for training."""
TWINS = {34: 27, 1: 26}
"""Items that show what another one shows; they go to its side, which keeps the folds of about equal size."""
VALIDATION_SHARE = 1 / 5  # of the items that are not for the test


@dataclass(frozen=True)
class KolektorSDD(DataSet):
    """Electrical commutators with fractures (KolektorSDD); takes --source."""

    split: Literal["grouped", "official"] = "grouped"
    """"grouped" keeps items that show the same on one side; "official" leaks two."""
    fold: Literal[0, 1, 2] = 0
    """Which third of the items is for the test."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "KolektorSDDSurfaces":
        """The builder of this fold; it reads the original only if the set is not prepared."""
        return KolektorSDDSurfaces(self.split, self.fold, data_dir=data_dir, source=source)


class KolektorSDDSurfaces(SegmentationBuilder):
    """Writes the images of the original, named "kos01/Part0"; copies that lack some are taken as they are."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {
        "1.1.0": "Raised whenever the division into parts, or what is kept about an image, changes."
    }
    name = "kolektor_sdd"

    def __init__(self, split: str, fold: int, *, data_dir: Path, source: Path | None):
        self.split, self.fold, self.source = split, fold, source
        super().__init__(CLASSES, data_dir=data_dir / f"{split}_{fold}")

    def items(self) -> Items:
        root = ORIGINAL.root(self.source)
        names = find_images(root)
        ORIGINAL.count(names, 399)
        parts = divide(self.split, self.fold, {item_of(name) for name in names})
        return {part: [(root, name) for name in names if item_of(name) in parts[part]] for part in parts}

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        image, mask = root / f"{name}.jpg", root / f"{name}_label.bmp"
        pixels, encoded = read_image(image)
        # Some masks are grey, some have a palette, and one of these has two shades for the defect.
        label = read_threshold(mask, 0)
        check_sizes(image, pixels, mask, label)
        return Example(name, encoded, pixels, label, shown_by(name))


def divide(split: str, fold: int, items: Collection[int]) -> dict[str, set[int]]:
    """Numbers of the items by part: the test part is the fold's, the rest is divided in two."""
    twins = TWINS if split == "grouped" else {}
    test = {item for item in items if twins.get(item, item) in FOLDS[fold]}
    rest = {f"{k:02}": Traits(f"{twins.get(k, k):02}", frozenset({0, 1})) for k in items if k not in test}
    validation = {int(k) for k in draw(rest, VALIDATION_SHARE, seed=0)}
    return {"train": {int(k) for k in rest} - validation, "validation": validation, "test": test}


def shown_by(name: str) -> str:
    """The item that an image shows, "kos01"; the same for twins, in the official folds as well."""
    item = item_of(name)
    return f"kos{TWINS.get(item, item):02}"


def item_of(name: str) -> int:
    """The number of an image's item: 1 for "kos01/Part0"."""
    return int(name[3:5])


def find_images(root: Path) -> list[str]:
    """Names of the images that are there with their masks, in order.

    Raises:
        UserError: one of the two is missing, or a file is none of the set's.
    """
    images, masks = {}, {}
    for path in sorted(root.glob("*/*.jpg")) + sorted(root.glob("*/*.bmp")):
        name = path.relative_to(root).with_suffix("").as_posix()
        (images if path.suffix == ".jpg" else masks)[name.removesuffix("_label")] = path
    check_pairs(images, masks)
    if strange := [name for name in images if not published(name)]:
        raise UserError(f"{images[strange[0]]}: no file of {ORIGINAL.title}; remove it")
    return list(images)


def published(name: str) -> bool:
    """Whether a name is one that the set may hold."""
    item, _, part = name.partition("/")
    return item in {f"kos{number:02}" for number in ITEMS} and part in {f"Part{k}" for k in range(8)}
