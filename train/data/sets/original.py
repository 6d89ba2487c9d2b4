"""Unpacked originals of published data sets: where they are, and whether they are all there."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from train.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Original:
    """What a published data set looks like once it is unpacked."""

    title: str
    """Its name in messages."""
    folder: str
    """The folder that its archive makes."""
    tree: str
    """The files in there, for messages."""
    inside: tuple[str, ...]
    """Patterns that tell the folder from others: something in it matches each."""

    def root(self, source: Path | None) -> Path:
        """The folder of the set: the source, or the one that the archive makes in it.

        Raises:
            UserError: there is no source, or the set is not there.
        """
        if source is None:
            raise UserError(
                f"{self.title} is not prepared yet: pass --source DIR, a folder that contains "
                f"{self.folder}/{self.tree}"
            )
        for root in (source / self.folder, source):
            if all(any(root.glob(pattern)) for pattern in self.inside):
                return root
        raise UserError(
            f"{source}: {self.title} is not there; unpack it so that this folder contains "
            f"{self.folder}/{self.tree}"
        )

    def count(self, found: Collection[str], published: int) -> None:
        """Say it when a copy lacks images."""
        if len(found) < published:
            logger.warning("%s: %d of %d images are there", self.title, len(found), published)


def check_pairs(images: dict[str, Path], masks: dict[str, Path]) -> None:
    """Raise a UserError unless every image has a mask, and every mask an image, by name."""
    for kind, there, others in (("mask", images, masks), ("image", masks, images)):
        if alone := sorted(there.keys() - others.keys()):
            raise UserError(
                f"{there[alone[0]]}: its {kind} is missing, with {len(alone) - 1} more; unpack the original "
                "again"
            )
