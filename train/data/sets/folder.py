"""Images and label images of the user, from folders."""

import csv
import dataclasses
import functools
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, read_example, short_digest, size_error
from train.data.data_set import DataSet
from train.data.example import VOID, Decoding, Example, Size
from train.data.files import file_state, nfc, read_bytes
from train.data.formats.images import read_pixels, read_size
from train.data.formats.label_images import read_colors, read_ids, read_threshold
from train.data.formats.polygons import Coco, read_labelme
from train.data.sets.pairs import Pair, is_coco, pair_files
from train.data.sets.split import Traits, draw, label_traits
from train.errors import UserError
from train.field_types import check_types
from train.run.log import progress

_PART_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Folder(DataSet):
    """Images and label images (masks) with equal names in two folders, or side by side in one."""

    images: str = ""
    """Folder of the images; if it has subfolders train, val and test, these are the parts."""
    masks: str | None = None
    """Folder of label images, laid out like the images, or a COCO file; None if beside the images."""
    mask_suffix: str = ""
    """End of the names of label images: _mask for a_mask.png; with a dot, it includes the extension."""
    missing_is_clean: bool = False
    """Whether an image without a label image shows no defect, as LabelMe saves no file without a shape; else
    the image is refused."""
    classes: tuple[str, ...] = ("background", "defect")
    """Names by class id; the first is the background."""
    void: int | None = 255
    """Value of pixels to leave out, in label images that hold class ids."""
    threshold: int | None = None
    """For black and white label images: gray level above which a pixel is a defect; 127 is usual."""
    colors: tuple[str, ...] = ()
    """For label images in color: RRGGBB of each class in turn, and of void if there is one more."""
    levels: tuple[int, int] | None = None
    """Values that are black and white in images with more than 8 bits: 0 4095 for 12 bits."""
    channels: int | None = None
    """Number of channels of images that are not gray or RGB; alpha and each page of a TIFF count as one."""
    groups: str | None = None
    """CSV file with columns name and group: images of one group, such as of one item, stay in one part."""
    validation: float = 0.15
    """Fraction for validation, of the images outside the test part; unused if the part has a folder."""
    test: float = 0.15
    """Fraction of the images for the test part; unused if the part has a folder."""
    seed: int = 0
    """Seed of the division into parts."""

    def __post_init__(self):
        """Check all options but `images` and `masks`, which a config leaves to the command line."""
        check_types(Folder, self, "data.")
        number = len(self.classes)
        if not 2 <= number <= VOID or len(set(self.classes)) < number:
            problem = f"data.classes: {self.classes} are not 2 to {VOID} different names, background first"
        elif self.threshold is not None and (number > 2 or self.colors or not 0 <= self.threshold < 255):
            problem = f"data.threshold: {self.threshold} takes 0 to 254, two classes and no data.colors"
        elif self.colors and len(self.colors) not in (number, number + 1):
            problem = f"data.colors: {len(self.colors)} colors for {number} classes; one each, then void's"
        elif len({*map(_parse_color, self.colors)}) < len(self.colors):
            problem = f"data.colors: {self.colors} holds a color twice; each class takes its own"
        elif self.void is not None and 0 <= self.void < number:
            problem = f"data.void: {self.void} is the id of {self.classes[self.void]}; take another or None"
        elif self.levels is not None and not 0 <= self.levels[0] < self.levels[1] < 2**16:
            problem = f"data.levels: {self.levels} are not two values from 0 to 65535, black first"
        elif self.channels is not None and self.channels < 2:
            problem = f"data.channels: {self.channels} is less than 2; leave it out for gray and RGB"
        elif not (0 < self.validation < 1 and 0 < self.test < 1):
            problem = f"data.validation, data.test: {self.validation}, {self.test} are not between 0 and 1"
        elif self.seed < 0:
            problem = f"data.seed: is {self.seed}, takes at least 0"
        else:
            return
        raise UserError(problem)

    def builder(self, *, data_dir: Path, source: Path | None) -> "FolderBuilder":
        """Return the builder for the present files of the folder; `source` is not used."""
        return FolderBuilder(self, data_dir=data_dir)

    @property
    def decoding(self) -> Decoding:
        """The options `levels` and `channels`."""
        return Decoding(self.levels, self.channels)


class FolderBuilder(SegmentationBuilder):
    """Writes the images of a folder, to a directory that changes with the options and with any file."""

    VERSION = tfds.core.Version("1.5.0")
    name = "folder"

    def __init__(self, data: Folder, *, data_dir: Path):
        if not data.images:
            raise UserError("data.images: no folder given; pass --data.images DIR and --data.masks DIR")
        if data.masks is None and not data.mask_suffix:
            raise UserError("data.masks: no folder given; pass --data.masks DIR, or --data.mask-suffix TEXT")
        self.data = data
        self.pairs = pair_files(
            Path(data.images), data.masks, data.mask_suffix, missing_is_clean=data.missing_is_clean
        )
        files = [path for pair in self.pairs for path in (pair.image, pair.label_image) if path is not None]
        if data.groups is not None:
            files.append(Path(data.groups))
        state = [[*file_state(path), str(path.resolve())] for path in files]
        super().__init__(data.classes, data_dir=data_dir / short_digest([dataclasses.asdict(data), state]))

    def items(self) -> Items:
        names = [pair.name for pair in self.pairs]
        groups = dict(zip(names, names, strict=True))
        if self.data.groups is not None:
            groups = _read_groups(Path(self.data.groups), names)
        if is_coco(self.data.masks):
            _check_annotated(self.data, self.pairs)
        traits = {
            pair.name: label_traits(groups[pair.name], _read_label(self.data, pair))
            for pair in progress(self.pairs, f"Reading the labels of {self.name}")
        }
        if not any(classes - {0, VOID} for _, classes in traits.values()):
            raise UserError(
                f"{self.data.masks or self.data.images}: no label image shows a defect; if they are black "
                "and white, pass --data.threshold 127"
            )
        if self.data.void == VOID and not self.data.colors:
            _check_white(
                {pair.label_image: traits[pair.name].classes for pair in self.pairs if pair.label_image}
            )
        parts = _divide(self.data, traits)
        return {
            part: [(pair, groups[pair.name]) for pair in self.pairs if pair.name in names]
            for part, names in parts.items()
        }

    def example(self, item: tuple[Pair, str]) -> Example:
        pair, group = item
        label = _read_label(self.data, pair)
        label_image = pair.label_image or pair.image
        return read_example(pair.name, pair.image, label_image, label, group, self.data.decoding)


def _check_white(label_images: Mapping[Path, frozenset[int]]) -> None:
    """Refuse label images of 0 and 255 among label images of class ids: their white would be read as void.

    Where a label image shows a class beside void, 255 is taken for void in all of them.

    Args:
        label_images: the classes in each, with void.

    Raises:
        UserError: names a label image of each kind.
    """
    white = [path for path, classes in label_images.items() if classes == {0, VOID}]
    others = [path for path, classes in label_images.items() if classes - {0, VOID}]
    if white and others and not any(VOID in label_images[path] for path in others):
        raise UserError(
            f"{white[0]}: holds 0 and {VOID} like a black and white label image, but {others[0]} holds class "
            f"ids; save all alike, or if {VOID} is void save it as another value and pass that as --data.void"
        )


def _check_annotated(data: Folder, pairs: Sequence[Pair]) -> None:
    """Refuse a COCO file with shapes of an image that is not there, as by another `file_name`."""
    path = Path(str(data.masks))
    annotated = read_coco(path, *file_state(path)).annotated()
    if lost := sorted(set(annotated) - {nfc(_file_name(data, pair)) for pair in pairs}):
        raise UserError(
            f"{path}: has annotations of {lost[0]}, but {data.images} has no such image ({len(lost)} of "
            f"{len(annotated)} annotated images); file_name has to be the path below --data.images; mend it, "
            "add the image, or remove it from the file"
        )


def _file_name(data: Folder, pair: Pair) -> str:
    """Return the path of an image below the folder of the images, as COCO files name it."""
    return pair.image.relative_to(data.images).as_posix()


def _parse_color(text: str) -> tuple[int, int, int]:
    """Return red, green and blue of "RRGGBB" or "#RRGGBB".

    Raises:
        UserError: the text is neither.
    """
    digits = text.removeprefix("#")
    if len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise UserError(f"data.colors: {text!r} is no color; write six hexadecimal digits such as ff0000")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _read_label(data: Folder, pair: Pair) -> np.ndarray:
    """Return the label of an image, read as the options say, uint8 [h, w], 255 for void."""
    path = pair.label_image
    if path is None:
        return _clean_label(data, pair)

    def check_size(size: Size) -> None:
        stored = read_size(pair.image)
        if sorted(size) != sorted(stored):  # the image may be turned, which decoding tells
            raise size_error(path, size, pair.image, stored)

    if is_coco(data.masks):
        name, coco = _file_name(data, pair), read_coco(path, *file_state(path))
        if data.missing_is_clean and not coco.holds(name):
            return _clean_label(data, pair)
        return coco.label(name, data.classes, check_size)
    if path.suffix.lower() == ".json":
        return read_labelme(path, data.classes, check_size)
    if data.threshold is not None:
        return read_threshold(path, data.threshold, refuse_ids=True)
    if data.colors:
        return read_colors(path, [_parse_color(text) for text in data.colors], void=len(data.classes))
    return read_ids(path, data.classes, data.void)


def _clean_label(data: Folder, pair: Pair) -> np.ndarray:
    """Return the label of an image without a defect, uint8 [h, w]."""
    pixels, _ = read_pixels(pair.image, data.decoding)
    return np.zeros(pixels.shape[:2], np.uint8)


@functools.lru_cache(maxsize=1)
def read_coco(path: Path, *state: int) -> Coco:
    """Return a COCO file, read again only when its state changes."""
    return Coco(path)


def _read_groups(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the group of each image from a table.

    Raises:
        UserError: the table cannot be read, lacks a column or an image, or has an image twice.
    """
    content = read_bytes(path)
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        if not {"name", "group"} <= set(reader.fieldnames or ()):
            raise UserError(f"{path}: needs a first line with the columns name and group")
        rows = [(nfc(row["name"] or ""), row["group"]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); check --data.groups") from error
    groups = dict(rows)
    if len(groups) < len(rows):
        duplicate = next(name for name, count in Counter(name for name, _ in rows).items() if count > 1)
        raise UserError(f"{path}: has {duplicate} twice; an image is of one group")
    named = {name: groups.get(nfc(name)) for name in names}
    if missing := [name for name, group in named.items() if not group]:
        raise UserError(
            f"{path}: has no group for {missing[0]} (images without one: {len(missing)}); names are as in "
            "--data.images, without extension"
        )
    return {name: group for name, group in named.items() if group}


def _divide(data: Folder, images: Mapping[str, Traits]) -> dict[str, set[str]]:
    """Return names by part: as in the folders train, val and test where present, else drawn by class.

    Raises:
        UserError: only some images lie in such folders, or a group lies in two of them.
    """
    given: dict[str | None, set[str]] = defaultdict(set)
    for name in images:
        given[_PART_FOLDERS.get(name.partition("/")[0].lower()) if "/" in name else None].add(name)
    if outside := given.pop(None, set()):
        if given:
            raise UserError(
                f"{data.images}: {min(outside)} lies outside the folders train, val and test, unlike "
                "others; move it into one"
            )
        given = {"train": outside}
    others = {name: images[name] for name in given.get("train", ())}
    test = given.get("test") or draw(others, data.test, data.seed)
    others = {name: others[name] for name in others.keys() - test}
    validation = given.get("validation") or draw(others, data.validation, data.seed)
    parts = {"train": others.keys() - validation, "validation": validation, "test": test}
    part_of_group: dict[str, str] = {}
    for part, names in parts.items():
        for name in names:
            if part_of_group.setdefault(images[name].group, part) != part:
                raise UserError(
                    f"{data.groups}: the images of group {images[name].group} lie in the folders of two "
                    "parts; move them into one"
                )
    return parts
