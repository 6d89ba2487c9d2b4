"""One's own images and masks, from folders."""

import csv
import dataclasses
import functools
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, short_digest
from train.data.example import VOID, DataSet, Decoding, Example
from train.data.formats.images import SUFFIXES, check_sizes, read_bytes, read_image
from train.data.formats.label_images import read_colors, read_ids, read_threshold
from train.data.formats.polygons import Coco, read_labelme
from train.data.sets.split import Traits, draw
from train.errors import UserError
from train.run.log import progress

SUFFIXES_OF_MASKS = (*SUFFIXES, ".json")  # of LabelMe
PART_FOLDERS = {
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
    """Images and masks of the same names in two folders, or side by side in one."""

    images: str = ""
    """Folder of the images; when it has subfolders train, val and test, these are the parts."""
    masks: str | None = None
    """Folder of the masks, laid out like the images, or a COCO file; without it they lie beside images."""
    mask_suffix: str = ""
    """What a mask's name has after its image's: _mask for a_mask.png; with a dot, the extension too: .png"""
    classes: tuple[str, ...] = ("background", "defect")
    """Names by class id; the first is the background."""
    void: int | None = 255
    """Mask value of pixels to leave out, where masks hold class ids."""
    threshold: int | None = None
    """For black and white masks: defect is what is brighter than this; 127 is usual."""
    colors: tuple[str, ...] = ()
    """For coloured masks: RRGGBB of each class in turn, and of void if there is one more."""
    levels: tuple[int, int] | None = None
    """Of images with more than 8 bits, the values that are black and white: 0 4095 for 12 bits."""
    channels: int | None = None
    """Of images that are not grey or RGB, how many; alpha is one, and so is each page of a TIFF."""
    groups: str | None = None
    """A CSV file with columns name and group: images of one group, as of one item, stay in one part."""
    validation: float = 0.15
    """Share for validation, of the images not in test; unused if there is a folder for it."""
    test: float = 0.15
    """Share of the images for the test part; unused if there is a folder for it."""
    seed: int = 0
    """Another seed, other parts."""

    def __post_init__(self):
        """Check all options but the folders, which the command line adds to the folder of a config."""
        number = len(self.classes)
        if not 2 <= number <= VOID or len(set(self.classes)) < number:
            problem = f"data.classes: {self.classes} are not 2 to {VOID} different names, background first"
        elif self.threshold is not None and (number > 2 or self.colors or not 0 <= self.threshold < 255):
            problem = f"data.threshold: {self.threshold} takes 0 to 254, two classes and no data.colors"
        elif self.colors and len(self.colors) not in (number, number + 1):
            problem = f"data.colors: {len(self.colors)} colors for {number} classes; one each, then void's"
        elif len({*map(parse_color, self.colors)}) < len(self.colors):
            problem = f"data.colors: {self.colors} holds a color twice; each class takes its own"
        elif self.void is not None and 0 <= self.void < number:
            problem = f"data.void: {self.void} is the id of {self.classes[self.void]}; take another or None"
        elif self.levels is not None and not 0 <= self.levels[0] < self.levels[1] < 2**16:
            problem = f"data.levels: {self.levels} are not two values from 0 to 65535, black first"
        elif self.channels is not None and self.channels < 2:
            problem = f"data.channels: {self.channels} is less than 2; leave it out for grey and RGB"
        elif not (0 < self.validation < 1 and 0 < self.test < 1):
            problem = f"data.validation, data.test: {self.validation}, {self.test} are not between 0 and 1"
        else:
            return
        raise UserError(problem)

    def builder(self, *, data_dir: Path, source: Path | None) -> "FolderSurfaces":
        """The builder of the folder as it is now; `source` is not used."""
        return FolderSurfaces(self, data_dir=data_dir)

    @property
    def decoding(self) -> Decoding:
        """As `levels` and `channels` say."""
        return Decoding(self.levels, self.channels)


class Pair(NamedTuple):
    """An image, its mask, and their common name."""

    name: str
    image: Path
    mask: Path


class FolderSurfaces(SegmentationBuilder):
    """Writes the images of a folder, under a key that changes with the options and with any file."""

    VERSION = tfds.core.Version("1.3.0")
    RELEASE_NOTES: ClassVar = {"1.3.0": "Raised whenever files are read, or described, in another way."}
    name = "folder"

    def __init__(self, data: Folder, *, data_dir: Path):
        if not data.images:
            raise UserError("data.images: no folder given; pass --data.images DIR and --data.masks DIR")
        if data.masks is None and not data.mask_suffix:
            raise UserError("data.masks: no folder given; pass --data.masks DIR, or --data.mask-suffix TEXT")
        self.data = data
        self.pairs = pair_files(data)
        files = [path for pair in self.pairs for path in pair[1:]]
        if data.groups is not None:
            files.append(Path(data.groups))
        state = [[*file_state(path), str(path.resolve())] for path in files]
        super().__init__(data.classes, data_dir=data_dir / short_digest([dataclasses.asdict(data), state]))

    def items(self) -> Items:
        names = [pair.name for pair in self.pairs]
        groups = dict(zip(names, names, strict=True))
        if self.data.groups is not None:
            groups = read_groups(Path(self.data.groups), names)
        traits = {
            pair.name: Traits(groups[pair.name], frozenset(np.unique(read_label(self.data, pair)).tolist()))
            for pair in progress(self.pairs, "Reading the masks of folder")
        }
        if not any(classes - {0, VOID} for _, classes in traits.values()):
            raise UserError(
                f"{self.pairs[0].mask.parent}: no mask shows a defect; if the masks are black and white, "
                "pass --data.threshold 127"
            )
        parts = divide(self.data, traits)
        return {
            part: [(pair, groups[pair.name]) for pair in self.pairs if pair.name in names]
            for part, names in parts.items()
        }

    def example(self, item: tuple[Pair, str]) -> Example:
        pair, group = item
        pixels, encoded = read_image(pair.image, self.data.decoding)
        label = read_label(self.data, pair)
        check_sizes(pair.image, pixels, pair.mask, label)
        return Example(pair.name, encoded, pixels, label, group)


def parse_color(text: str) -> tuple[int, int, int]:
    """Red, green and blue of "RRGGBB" or "#RRGGBB".

    Raises:
        UserError: it is neither.
    """
    digits = text.removeprefix("#")
    if len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise UserError(f"data.colors: {text!r} is no color; write six hexadecimal digits such as ff0000")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def read_label(data: Folder, pair: Pair) -> np.ndarray:
    """The labels of an image in the form that the options name, uint8 [h, w], 255 for void."""
    mask = pair.mask
    if is_coco(data):
        name = pair.image.relative_to(data.images).as_posix()
        return read_coco(mask, *file_state(mask)).label(name, data.classes)
    if mask.suffix.lower() == ".json":
        return read_labelme(mask, data.classes)
    if data.threshold is not None:
        return read_threshold(mask, data.threshold)
    if data.colors:
        return read_colors(mask, [parse_color(text) for text in data.colors], void=len(data.classes))
    return read_ids(mask, data.classes, data.void)


def is_coco(data: Folder) -> bool:
    """Whether the masks are in one of COCO's files."""
    return data.masks is not None and data.masks.lower().endswith(".json")


@functools.lru_cache(maxsize=1)
def read_coco(path: Path, *state: int) -> Coco:
    """One of COCO's files, read again only when its state is another."""
    return Coco(path)


def pair_files(data: Folder) -> list[Pair]:
    """The images with their masks, in the order of their names.

    Raises:
        UserError: a folder is missing or without images, or an image or mask is alone or twice there.
    """
    root = Path(data.images)
    mask_root = root if data.masks is None else Path(data.masks)
    if is_coco(data):
        images = by_name(root, image_files(root), "")
        masks = dict.fromkeys(images, mask_root)
    elif root.resolve() == mask_root.resolve():
        both = list(image_files(root, SUFFIXES_OF_MASKS))
        images = by_name(root, [path for path in both if not is_mask(path, data.mask_suffix)], "")
        masks = by_name(root, [path for path in both if is_mask(path, data.mask_suffix)], data.mask_suffix)
    else:
        images = by_name(root, image_files(root, apart_from=mask_root), "")
        masks = by_name(
            mask_root, image_files(mask_root, SUFFIXES_OF_MASKS, apart_from=root), data.mask_suffix
        )
    if not images:
        raise UserError(f"{root}: holds no images ({', '.join(SUFFIXES)}); check --data.images")
    if alone := sorted(images.keys() - masks.keys()):
        raise UserError(
            f"{images[alone[0]]}: has no mask {alone[0]}{data.mask_suffix} in {mask_root} ({len(alone)} of "
            f"{len(images)} images have none); add it (all background for a clean image) or remove the image"
        )
    if alone := sorted(masks.keys() - images.keys()):
        raise UserError(
            f"{masks[alone[0]]}: has no image {alone[0]} in {root} ({len(alone)} of {len(masks)} masks "
            "have none); add it or remove the mask"
        )
    return [Pair(name, images[name], masks[name]) for name in sorted(images)]


def image_files(
    root: Path, suffixes: tuple[str, ...] = SUFFIXES, apart_from: Path | None = None
) -> Iterator[Path]:
    """Every file of these kinds under a folder, hidden ones and those under another folder left out.

    Raises:
        UserError: the folder, or one in it, is missing or may not be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from error

    apart = apart_from and apart_from.resolve()
    for folder, folders, files in os.walk(root, onerror=refuse):
        here = Path(folder)
        hidden_or_apart = {name for name in folders if name[0] == "." or (here / name).resolve() == apart}
        folders[:] = sorted(set(folders) - hidden_or_apart)
        yield from (here / file for file in files if file.lower().endswith(suffixes) and file[0] != ".")


def is_mask(path: Path, suffix: str) -> bool:
    """Whether a file that lies among images is named as a mask."""
    return (path.name if "." in suffix else path.stem).endswith(suffix)


def by_name(root: Path, files: Iterable[Path], suffix: str) -> dict[str, Path]:
    """Files by their path below a folder, without extension and suffix.

    Raises:
        UserError: two files have the same name, or a name is not Unicode.
    """
    named: dict[str, Path] = {}
    for path in files:
        stem = path.name.removesuffix(suffix) if "." in suffix else path.stem.removesuffix(suffix)
        name = (path.parent / stem).relative_to(root).as_posix()
        if name in named:
            raise UserError(f"{path}: has the same name as {named[name].name}; keep one or rename it")
        if not name.isprintable():
            raise UserError(f"{name!r}: is not a name that can be printed; rename the file in {path.parent}")
        named[name] = path
    return named


def file_state(path: Path) -> tuple[int, int]:
    """Size and time of change: what differs when a file was edited.

    Raises:
        UserError: the file cannot be found, as behind a broken link.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore or remove it") from error
    return status.st_size, status.st_mtime_ns


def read_groups(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The group of each image, from a table.

    Raises:
        UserError: the table cannot be read, lacks a column, or has an image not at all or twice.
    """
    content = read_bytes(path)
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        if not {"name", "group"} <= set(reader.fieldnames or ()):
            raise UserError(f"{path}: needs a first line with the columns name and group")
        rows = [(row["name"], row["group"]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); check --data.groups") from error
    groups = dict(rows)
    if len(groups) < len(rows):
        twice = next(name for name, count in Counter(name for name, _ in rows).items() if count > 1)
        raise UserError(f"{path}: has {twice} twice; an image is of one group")
    if missing := [name for name in names if not groups.get(name)]:
        raise UserError(
            f"{path}: has no group for {missing[0]} ({len(missing)} images have none); names are as in "
            "--data.images, without extension"
        )
    return groups


def divide(data: Folder, images: Mapping[str, Traits]) -> dict[str, set[str]]:
    """Names by part: those of the folders train, val and test if there are any, the rest drawn by class.

    Raises:
        UserError: some images lie in such folders and others do not, or a group lies in two of them.
    """
    given: dict[str | None, set[str]] = defaultdict(set)
    for name in images:
        given[PART_FOLDERS.get(name.partition("/")[0].lower()) if "/" in name else None].add(name)
    if outside := given.pop(None, set()):
        if given:
            raise UserError(
                f"{data.images}: {min(outside)} lies outside the folders train, val and test, unlike "
                "others; move it into one"
            )
        given = {"train": outside}
    rest = {name: images[name] for name in given.get("train", ())}
    test = given.get("test") or draw(rest, data.test, data.seed)
    rest = {name: rest[name] for name in rest.keys() - test}
    validation = given.get("validation") or draw(rest, data.validation, data.seed)
    parts = {"train": rest.keys() - validation, "validation": validation, "test": test}
    sides: dict[str, str] = {}
    for part, names in parts.items():
        for name in names:
            if sides.setdefault(images[name].group, part) != part:
                raise UserError(
                    f"{data.groups}: the images of group {images[name].group} lie in the folders of two "
                    "parts; move them into one"
                )
    return parts
