"""Probabilities of images of any size: what a device sees at a time is bounded, and of one shape.

Small images are one tile. Larger ones are cut into tiles that overlap, and where they do, a tile counts less
the nearer its border is. An image that the network sees resized is seen whole, and its scores are resized
back tile by tile.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from train.data.views import Batch, Size, padded, resized_image
from train.errors import UserError
from train.experiment import Experiment
from train.parallel import collect, deal, each_device, images_at_once, replicate
from train.step import State, evaluated, look, predict_step, window_step

STRIDE = 32
"""Tiles begin at multiples of it: of the side of the largest block of pixels that a network here pools. So a
tile is pooled in the same blocks as the whole image."""

Flip = tuple[slice, slice]
"""An index that mirrors rows, columns, both or none; it undoes itself."""

_SIDES = slice(None), slice(None, None, -1)
FLIPS: tuple[Flip, ...] = tuple((rows, columns) for rows in _SIDES for columns in _SIDES)
"""All four; the first leaves the image as it is."""


@dataclass(frozen=True)
class Tiling:
    """How images are cut that are larger than a tile."""

    tile: Size = (1024, 1024)
    """Height and width of a tile: larger images are cut. Less takes less memory."""
    overlap: int = 128
    """Pixels that neighbouring tiles share at least; twice what the network sees around a pixel is best."""

    def __post_init__(self):
        if self.overlap < 0:
            raise UserError(f"overlap: is {self.overlap}, takes at least 0")
        if min(self.tile) < self.overlap + STRIDE:
            raise UserError(
                f"tile: is {self.tile[0]} {self.tile[1]}, takes at least {self.overlap + STRIDE} a side, "
                f"{STRIDE} more than the overlap; take a larger --tile or a smaller --overlap"
            )


class Part(NamedTuple):
    """What one tile covers of an image."""

    box: tuple[slice, slice]
    """Rows and columns."""
    weights: np.ndarray
    """What the tile counts there, float32 [h, w]; over all tiles they add up to 1 at every pixel."""


Example = Mapping[str, Any]
"""Its `image` is uint8 [h, w, c]."""


class Piece(NamedTuple):
    """What a tile is for."""

    number: int
    """Of the example in its stream."""
    example: Example
    part: Part
    flip: Flip
    """How the tile is mirrored."""


Predictor = Callable[[State, Iterable[Example]], Iterator[tuple[Example, np.ndarray]]]


def predictor(
    experiment: Experiment, canvas: Size, tiling: Tiling, flips: Sequence[Flip] = FLIPS[:1]
) -> Predictor:
    """A function `(state, examples)` that yields each example and its probabilities, float32 [h, w, classes].

    It is compiled once, and holds the probabilities of one example at a time.

    Args:
        experiment: the run's.
        canvas: height and width that hold the largest image.
        tiling: how images larger than a tile are cut.
        flips: the mean over the image mirrored in these ways is taken.
    """
    config, size = experiment.config, experiment.config.input.size
    # No larger than need be, and small images are padded as in evaluation.
    tile = min(tiling.tile[0], canvas[0]), min(tiling.tile[1], canvas[1])
    step = predict_step if size is None else look
    see = each_device(functools.partial(step, model=experiment.model, what=config.input))
    resize = each_device(lambda _, batch: window_step(batch, canvas=tile))

    def as_they_are(state: State, examples: Iterable[Example]) -> Iterator[tuple[Piece, np.ndarray]]:
        tiles = (
            (Piece(number, example, part, flip), {"image": padded(example["image"][part.box][flip], tile, 0)})
            for number, example in enumerate(examples)
            for part in cut(example["image"].shape, tiling)
            for flip in flips
        )
        return in_batches(functools.partial(see, state), tiles, images_at_once(config.batch_size, tile))

    def resized(state: State, examples: Iterable[Example], size: Size) -> Iterator[tuple[Piece, np.ndarray]]:
        wholes = (
            ((number, example, flip), {"image": image[flip]})
            for number, example in enumerate(examples)
            for image in (resized_image(example["image"], size),)
            for flip in flips
        )
        seen = in_batches(functools.partial(see, state), wholes, images_at_once(config.batch_size, size))
        tiles = (
            (
                Piece(number, example, part, FLIPS[0]),
                {
                    "scores": scores[flip],
                    "size": np.array(example["image"].shape[:2], np.float32),
                    "corner": np.array([side.start for side in part.box], np.float32),
                },
            )
            for (number, example, flip), scores in seen
            for part in cut(example["image"].shape, Tiling(tiling.tile, 0))
        )
        return in_batches(functools.partial(resize, ()), tiles, images_at_once(config.batch_size, tile))

    def blended(example: Example, pieces: Iterable[tuple[Piece, np.ndarray]]) -> np.ndarray:
        total = np.zeros((*example["image"].shape[:2], len(experiment.facts.classes)), np.float32)
        for piece, values in pieces:
            height, width = piece.part.weights.shape
            mine = values[:height, :width][piece.flip]
            total[piece.part.box] += piece.part.weights[..., None] * mine
        total /= len(flips)
        return total

    def predict(state: State, examples: Iterable[Example]) -> Iterator[tuple[Example, np.ndarray]]:
        state = replicate(evaluated(state))
        found = as_they_are(state, examples) if size is None else resized(state, examples, size)
        for (_, example), pieces in itertools.groupby(found, key=lambda pair: pair[0][:2]):
            yield example, blended(example, pieces)

    return predict


def cut(shape: Sequence[int], tiling: Tiling) -> Iterator[Part]:
    """Tiles that cover an image [h, w, ...], row by row."""
    rows, columns = (
        along(side, tile, tiling.overlap) for side, tile in zip(shape[:2], tiling.tile, strict=True)
    )
    for (vertical, weights), (horizontal, others) in itertools.product(rows, columns):
        yield Part((vertical, horizontal), weights[:, None] * others)


def along(side: int, tile: int, overlap: int) -> list[tuple[slice, np.ndarray]]:
    """Where tiles lie along one side of an image, and what they count there, float32.

    Weights rise in a straight line over the overlap from where a tile begins inside of the image, and fall
    towards where it ends there. They are divided by their sum over the tiles.
    """
    last = -(-max(0, side - tile) // STRIDE) * STRIDE
    starts = [*range(0, last, (tile - overlap) // STRIDE * STRIDE), last]
    spans = [slice(start, min(start + tile, side)) for start in starts]
    weights = []
    for span in spans:
        place = np.arange(span.stop - span.start)
        rising = place + 1 if span.start > 0 else np.inf
        falling = tile - place if span.stop < side else np.inf
        weights.append(np.minimum(np.minimum(rising, falling) / (overlap + 1), np.ones(place.size)))
    total = np.zeros(side)
    for span, weight in zip(spans, weights, strict=True):
        total[span] += weight
    return [
        (span, (weight / total[span]).astype(np.float32)) for span, weight in zip(spans, weights, strict=True)
    ]


def in_batches(
    step: Callable[[Batch], Any], items: Iterable[tuple[Any, Batch]], count: int
) -> Iterator[tuple[Any, np.ndarray]]:
    """What a step on all devices makes of each item of a stream, beside the item's tag.

    Args:
        step: takes a batch dealt out to the devices.
        items: a tag and arrays by name, of the same shapes throughout.
        count: items of a batch; the last one is filled up with copies.
    """
    stream = iter(items)
    while group := list(itertools.islice(stream, count)):
        tags, batches = zip(*group, strict=True)
        filled = [*batches, *batches[-1:] * (count - len(batches))]
        outputs = collect(step(deal(jax.tree.map(lambda *x: np.stack(x), *filled))))
        yield from zip(tags, outputs, strict=False)
