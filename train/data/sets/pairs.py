"""Images of a folder and their label images, paired by name."""

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from train.data.files import find_files, nfc
from train.data.formats.images import SUFFIXES
from train.data.formats.polygons import PREDICTED_COCO
from train.errors import UserError

_LABEL_SUFFIXES = (*SUFFIXES, ".json")  # of LabelMe


class Pair(NamedTuple):
    """An image, its label image (or the COCO file), and their common name."""

    name: str
    """Path of the image below its folder, without extension, as the file system has it."""
    image: Path
    label_image: Path | None
    """None for an image that is clean because it has none."""


def pair_files(root: Path, masks: str | None, suffix: str, *, missing_is_clean: bool = False) -> list[Pair]:
    """Return the images with their label images, sorted by name.

    Args:
        root: folder of the images.
        masks: folder of the label images, or a COCO file; None if they lie beside the images.
        suffix: end of the names of label images, with the extension if it holds a dot; files without it
            are no label images.
        missing_is_clean: whether images without a label image are accepted.

    Raises:
        UserError: a folder is missing or without images, or an image or label image has no partner or a twin.
    """
    label_root = root if masks is None else Path(masks)
    if is_coco(masks):
        images = _by_name(root, find_files(root, SUFFIXES), "")
        label_images = dict.fromkeys(images, label_root)
    elif root.resolve() == label_root.resolve():
        files = find_files(root, _LABEL_SUFFIXES)
        images = _by_name(root, [path for path in files if not _split(path, suffix)[1]], "")
        label_images = _by_name(root, [path for path in files if _split(path, suffix)[1]], suffix)
    else:
        files = find_files(label_root, _LABEL_SUFFIXES, excluded=root)
        images = _by_name(root, find_files(root, SUFFIXES, excluded=label_root), "")
        label_images = _by_name(label_root, [path for path in files if _split(path, suffix)[1]], suffix)
    if not images:
        raise UserError(f"{root}: holds no images ({', '.join(SUFFIXES)}); check --data.images")
    # The COCO file beside LabelMe files of `predict` is the label of no image.
    predicted = label_root / PREDICTED_COCO
    label_images = {name: path for name, path in label_images.items() if name in images or path != predicted}
    _check_partners(images, label_images, root, label_root, suffix, missing_is_clean)
    pairs = [
        Pair((path.parent / path.stem).relative_to(root).as_posix(), path, label_images.get(name))
        for name, path in images.items()
    ]
    return sorted(pairs)


def is_coco(masks: str | None) -> bool:
    """Return whether the labels are in a COCO file."""
    return masks is not None and masks.lower().endswith(".json")


def _check_partners(
    images: Mapping[str, Path],
    label_images: Mapping[str, Path],
    root: Path,
    label_root: Path,
    suffix: str,
    missing_is_clean: bool,
) -> None:
    """Raise a UserError unless every image has a label image, or may lack it, and vice versa."""
    if (unpaired := sorted(images.keys() - label_images.keys())) and not missing_is_clean:
        raise UserError(
            f"{images[unpaired[0]]}: has no label image {unpaired[0]}{suffix} in {label_root} "
            f"(images without one: {len(unpaired)} of {len(images)}); add it, remove the image, or, if "
            "images without one show no defect, pass --data.missing-is-clean"
        )
    if unpaired := sorted(label_images.keys() - images.keys()):
        raise UserError(
            f"{label_images[unpaired[0]]}: has no image {unpaired[0]} in {root} (label images without one: "
            f"{len(unpaired)} of {len(label_images)}); add it or remove the label image"
        )


def _split(path: Path, suffix: str) -> tuple[str, bool]:
    """Return the name of a file, in NFC, without suffix and extension, and whether it has the suffix.

    A suffix with a dot includes the extension, which may be in lower or upper case.
    """
    if "." not in suffix:
        stem = nfc(path.stem)
        return stem.removesuffix(nfc(suffix)), stem.endswith(nfc(suffix))
    before, _, extension = nfc(suffix).rpartition(".")
    name = nfc(path.name)
    stem, _, last = name.rpartition(".")
    if stem.endswith(before) and last.lower() == extension.lower():
        return stem.removesuffix(before), True
    return name, False


def _by_name(root: Path, files: Iterable[Path], suffix: str) -> dict[str, Path]:
    """Return files by their path below a folder, in NFC, without extension and suffix.

    Raises:
        UserError: two files have equal names, or a name holds a control character or bytes that are no text.
    """
    named: dict[str, Path] = {}
    for path in files:
        name = nfc((path.parent / _split(path, suffix)[0]).relative_to(root).as_posix())
        if name in named:
            raise UserError(f"{path}: has the same name as {named[name].name}; keep one or rename it")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise UserError(f"{name!r}: is not a name that can be printed; rename the file in {path.parent}")
        named[name] = path
    return named
