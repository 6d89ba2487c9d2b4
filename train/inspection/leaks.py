"""Leaks: photographs that stand in two parts of a data set, so that a test measures memorization."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from train.csv_files import csv_writer
from train.data.example import PARTS
from train.data.pixels import channels_to_display
from train.data.prepare import Part, Prepared, Record
from train.run.log import progress

_BLOCKS = 20
"""Blocks per side whose means are the first comparison of two images."""
_MIN_BLOCK_CORRELATION = 0.995
"""Correlation of block means above which two images are compared in detail."""
_MIN_DETAIL_CORRELATION = 0.5
"""Correlation of details above which two images are one photograph; that of other pairs is about 0."""
_CHUNK = 1024
"""Images of a part that are compared with another part in one matrix product."""


class Leak(NamedTuple):
    """Two images of different parts that are one photograph, also rotated, mirrored or compressed again."""

    part: str
    name: str
    other_part: str
    other_name: str


class _Image(NamedTuple):
    name: str
    digest: bytes
    blocks: np.ndarray
    """Block means, float32 [20 * 20], of mean 0 and norm 1; all 0 for an image without contrast."""


def find_leaks(data: Prepared) -> list[Leak]:
    """Return all pairs of images of different parts that are one photograph, ordered by part.

    Found are images with equal pixels, and images that differ by rotations of 90 degrees, a reflection and
    compression. Two photographs of one item are not found: these need a table of groups.
    """
    images = {part: [_described(record) for record in _records(data, part)] for part in PARTS}
    return [
        Leak(part, images[part][i].name, other, images[other][j].name)
        for part, other in combinations(PARTS, 2)
        for i, j in _similar(images[part], images[other])
        if images[part][i].digest == images[other][j].digest
        or _equal_detail(data.parts[part], i, data.parts[other], j)
    ]


def describe_leaks(leaks: Sequence[Leak], data: Prepared) -> list[str]:
    """Return a line for each two parts that share images: how many images, and an example."""
    lines = []
    for part, other in combinations(PARTS, 2):
        pairs = [leak for leak in leaks if (leak.part, leak.other_part) == (part, other)]
        if pairs:
            leaked = len({leak.other_name for leak in pairs})
            lines.append(
                f"{leaked} of {len(data.parts[other])} images of the {other} part show what images of the "
                f"{part} part show: {pairs[0].other_name} is {pairs[0].name}"
            )
    return lines


def write_table(leaks: Sequence[Leak], path: Path) -> None:
    """Write all pairs to a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        write = csv_writer(file)
        for row in (Leak._fields, *leaks):
            write(row)


def _records(data: Prepared, part: str) -> Iterator[Record]:
    return progress(data.parts[part], f"Comparing the images of the {part} part")


def _described(record: Record) -> _Image:
    image = record["image"]
    blocks = np.asarray(_gray(image).resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX), np.float32)
    blocks = (blocks - blocks.mean()).ravel()
    norm = np.linalg.norm(blocks)
    return _Image(
        record["name"],
        hashlib.sha256(image.tobytes()).digest(),
        blocks / norm if norm > _BLOCKS * 0.5 else np.zeros_like(blocks),  # half a gray level per block
    )


def _similar(images: Sequence[_Image], others: Sequence[_Image]) -> Iterator[tuple[int, int]]:
    """Iterate over the indices of pairs with equal pixels, or with similar block means in some symmetry."""
    digests: dict[bytes, list[int]] = {}
    for j, other in enumerate(others):
        digests.setdefault(other.digest, []).append(j)
    pairs = {(i, j) for i, image in enumerate(images) for j in digests.get(image.digest, ())}
    other_blocks = np.stack([other.blocks for other in others])
    for start in range(0, len(images), _CHUNK):
        blocks = np.stack([image.blocks for image in images[start : start + _CHUNK]])
        squares = blocks.reshape(-1, _BLOCKS, _BLOCKS)
        for changed in _symmetries(squares, (1, 2)):
            similar = changed.reshape(blocks.shape) @ other_blocks.T > _MIN_BLOCK_CORRELATION
            pairs.update((start + int(i), int(j)) for i, j in np.argwhere(similar))
    return iter(sorted(pairs))


def _equal_detail(part: Part, i: int, other: Part, j: int) -> bool:
    """Return whether the details of two images correlate, in one of the eight symmetries."""
    detail, other_detail = _detail(part[i]["image"]), _detail(other[j]["image"])
    return any(
        changed.shape == other_detail.shape
        and float((changed * other_detail).sum()) > _MIN_DETAIL_CORRELATION
        for changed in _symmetries(detail, (0, 1))
    )


def _detail(image: np.ndarray) -> np.ndarray:
    """Return an image less its block means, float32 [h, w] of mean 0 and norm 1."""
    gray = _gray(image)
    means = gray.resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX).resize(gray.size, Image.Resampling.BICUBIC)
    detail = np.asarray(gray, np.float32) - np.asarray(means, np.float32)
    detail -= detail.mean()
    return detail / max(float(np.linalg.norm(detail)), 1e-6)


def _gray(image: np.ndarray) -> Image.Image:
    image = channels_to_display(image)
    return Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).convert("L")


def _symmetries(images: np.ndarray, axes: tuple[int, int]) -> Iterator[np.ndarray]:
    """Iterate over the eight symmetries of a square: rotations by 90 degrees, mirrored or not."""
    for mirrored in (images, np.flip(images, axes[0])):
        for quarter_turns in range(4):
            yield np.rot90(mirrored, quarter_turns, axes)
