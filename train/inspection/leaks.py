"""Images that show the same in two parts of a data set: a test on them measures memory."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from train.data.example import PARTS
from train.data.pixels import visible
from train.data.prepare import Part, Prepared, Record
from train.run.log import progress

BLOCKS = 20
"""An image is first compared by the means of so many blocks a side."""
SAME_BLOCKS = 0.995
"""Correlation of block means from which on two images are looked at closely."""
SAME_DETAIL = 0.5
"""Correlation of what block means leave over from which on they show the same; other images have about 0."""
AT_ONCE = 1024
"""Images of a part that are compared with another part in one product."""


class Leak(NamedTuple):
    """Two images that show the same, in two parts; one may be turned, mirrored or coded anew."""

    part: str
    name: str
    other_part: str
    other_name: str


class _Image(NamedTuple):
    name: str
    digest: bytes
    blocks: np.ndarray
    """float32 [20 * 20], of mean 0 and length 1; all 0 for an image without contrast."""


def find_leaks(data: Prepared) -> list[Leak]:
    """All pairs of images that show the same and stand in two parts, one part after the other.

    Found are equal images, and images that are equal but for a turn by right angles, a reflection, and a new
    compression. What was photographed twice is not; only a group column can say that.
    """
    images = {part: [_described(record) for record in _read(data, part)] for part in PARTS}
    return [
        Leak(part, images[part][i].name, other, images[other][j].name)
        for part, other in combinations(PARTS, 2)
        for i, j in _alike(images[part], images[other])
        if images[part][i].digest == images[other][j].digest
        or _show_the_same(data.parts[part], i, data.parts[other], j)
    ]


def summary(leaks: Sequence[Leak], data: Prepared) -> list[str]:
    """A line for each two parts that share images: how many of the one are in the other, and an example."""
    lines = []
    for part, other in combinations(PARTS, 2):
        pairs = [leak for leak in leaks if (leak.part, leak.other_part) == (part, other)]
        if pairs:
            known = len({leak.other_name for leak in pairs})
            lines.append(
                f"{known} of {len(data.parts[other])} images of the {other} part show what images of the "
                f"{part} part show: {pairs[0].other_name} is {pairs[0].name}"
            )
    return lines


def write_table(leaks: Sequence[Leak], path: Path) -> None:
    """All pairs as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(Leak._fields)
        table.writerows(leaks)


def _read(data: Prepared, part: str) -> Iterator[Record]:
    return progress(data.parts[part], f"Comparing the images of the {part} part")


def _described(record: Record) -> _Image:
    image = record["image"]
    blocks = np.asarray(_grey(image).resize((BLOCKS, BLOCKS), Image.Resampling.BOX), np.float32)
    blocks = (blocks - blocks.mean()).ravel()
    length = np.linalg.norm(blocks)
    return _Image(
        record["name"],
        hashlib.sha256(image.tobytes()).digest(),
        blocks / length if length > BLOCKS * 0.5 else np.zeros_like(blocks),  # half a grey level a block
    )


def _alike(images: Sequence[_Image], others: Sequence[_Image]) -> Iterator[tuple[int, int]]:
    """Places of the pairs with equal pixels, or whose block means agree in one of the eight symmetries."""
    digests: dict[bytes, list[int]] = {}
    for j, other in enumerate(others):
        digests.setdefault(other.digest, []).append(j)
    found = {(i, j) for i, image in enumerate(images) for j in digests.get(image.digest, ())}
    theirs = np.stack([other.blocks for other in others])
    for start in range(0, len(images), AT_ONCE):
        ours = np.stack([image.blocks for image in images[start : start + AT_ONCE]])
        squares = ours.reshape(-1, BLOCKS, BLOCKS)
        for turned in _symmetries(squares, (1, 2)):
            near = turned.reshape(ours.shape) @ theirs.T > SAME_BLOCKS
            found.update((start + int(i), int(j)) for i, j in np.argwhere(near))
    return iter(sorted(found))


def _show_the_same(part: Part, i: int, other: Part, j: int) -> bool:
    """Whether two images agree in detail, in one of the eight symmetries."""
    ours, theirs = (_detail(source[k]["image"]) for source, k in ((part, i), (other, j)))
    return any(
        turned.shape == theirs.shape and float((turned * theirs).sum()) > SAME_DETAIL
        for turned in _symmetries(ours, (0, 1))
    )


def _detail(image: np.ndarray) -> np.ndarray:
    """What an image shows beside its block means, float32 [h, w] of length 1."""
    grey = _grey(image)
    smooth = grey.resize((BLOCKS, BLOCKS), Image.Resampling.BOX).resize(grey.size, Image.Resampling.BICUBIC)
    detail = np.asarray(grey, np.float32) - np.asarray(smooth, np.float32)
    detail -= detail.mean()
    return detail / max(float(np.linalg.norm(detail)), 1e-6)


def _grey(image: np.ndarray) -> Image.Image:
    image = visible(image)
    return Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).convert("L")


def _symmetries(images: np.ndarray, axes: tuple[int, int]) -> Iterator[np.ndarray]:
    """The eight ways to lay a square on itself."""
    for mirrored in (images, np.flip(images, axes[0])):
        for quarters in range(4):
            yield np.rot90(mirrored, quarters, axes)
