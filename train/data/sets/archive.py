"""Unpacked archives of published data sets: folders, missing and unknown files, tables of groups."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from train.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """The files that the archive of a published data set unpacks to."""

    title: str
    """Name of the data set in messages."""
    folder: str
    """Folder that the archive unpacks to."""
    tree: str
    """Files in the folder, for messages."""
    patterns: tuple[str, ...]
    """Glob patterns that identify the folder: each matches something in it."""

    def root(self, source: Path | None) -> Path:
        """Return the folder of the data set: the source itself, or `folder` in it.

        Raises:
            UserError: there is no source, or the data set is not in it.
        """
        if source is None:
            raise UserError(
                f"{self.title} is not prepared yet: pass --source DIR, a folder that contains "
                f"{self.folder}/{self.tree}"
            )
        for root in (source / self.folder, source):
            if all(any(root.glob(pattern)) for pattern in self.patterns):
                return root
        raise UserError(
            f"{source}: {self.title} is not there; unpack it so that this folder contains "
            f"{self.folder}/{self.tree}"
        )

    def warn_of_missing(self, images: Collection[str], published: int) -> None:
        """Log a warning if a copy lacks images."""
        if len(images) < published:
            logger.warning("%s: %d of %d images are there", self.title, len(images), published)

    def unknown_file(self, path: Path) -> UserError:
        """Return the error over a file that the archive does not contain."""
        return UserError(f"{path}: no file of {self.title}; remove it")


def missing_file(path: Path, others: int) -> UserError:
    """Return the error over a missing file and the number of other missing ones."""
    return UserError(f"{path}: missing, with {others} more; unpack the archive again")


def check_pairs(images: Mapping[str, Path], label_images: Mapping[str, Path]) -> None:
    """Raise a UserError unless every image has a label image, and vice versa, by name."""
    for kind, files, partners in (("label image", images, label_images), ("image", label_images, images)):
        if unpaired := sorted(files.keys() - partners.keys()):
            raise UserError(
                f"{files[unpaired[0]]}: its {kind} is missing, with {len(unpaired) - 1} more; unpack the "
                "archive again"
            )


def read_group_table(path: Path, image_name: Callable[[str], str]) -> dict[str, str]:
    """Return the group of each image from a table with a line for each group.

    Args:
        path: of the table; lines with # are comments.
        image_name: maps an entry of the table to the name of an image.

    Returns:
        By the name of an image the name of the first image in its group.
    """
    groups = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            names = [image_name(entry) for entry in line.split()]
            groups |= dict.fromkeys(names, names[0])
    return groups
