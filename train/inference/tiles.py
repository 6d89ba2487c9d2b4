"""Probabilities of images of any size: what a device sees at a time is bounded, and of one shape.

Small images are one tile. Larger ones are cut into tiles that overlap, and where they do, a tile counts less
the nearer its border is: away from the borders of tiles the result is that of the whole image. (Networks that
sum up all they see, DeepLabV3 and PSPNet by pooling and all with group norm, sum up the tile instead.) An
image that the network sees resized is seen whole, and its scores are resized back tile by tile.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from train.data.cache import Batch
from train.data.resize import Size, padded, resized_image
from train.errors import UserError
from train.parallel import collect, deal, each_device, images_at_once, replicate_here
from train.training.experiment import Experiment
from train.training.step import State, evaluated, look, predict_step, window_step

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


@dataclass(frozen=True)
class Predictor:
    """A function `(state, examples)` that yields each example and its probabilities, float32 [h, w, classes].

    It is compiled once, and holds the probabilities of one example at a time.
    """

    experiment: Experiment
    canvas: Size
    """Height and width that hold the largest image."""
    tiling: Tiling
    flips: Sequence[Flip] = FLIPS[:1]
    """The mean over the image mirrored in these ways is taken."""

    def __call__(self, state: State, examples: Iterable[Example]) -> Iterator[tuple[Example, np.ndarray]]:
        """Of a state that may hold averages: they are taken."""
        pieces = self._pieces(replicate_here(evaluated(state)), examples)
        for (_, example), group in itertools.groupby(pieces, key=lambda pair: pair[0][:2]):
            yield example, self._blended(example, group)

    @functools.cached_property
    def _tile(self) -> Size:
        """No larger than need be, so that small images are padded as in evaluation."""
        return min(self.tiling.tile[0], self.canvas[0]), min(self.tiling.tile[1], self.canvas[1])

    @functools.cached_property
    def _see(self) -> Callable:
        """Probabilities of tiles, or the scores of whole images that are resized."""
        config = self.experiment.config
        step = predict_step if config.input.size is None else look
        return each_device(functools.partial(step, model=self.experiment.model, what=config.input))

    @functools.cached_property
    def _resize(self) -> Callable:
        """Probabilities of tiles, from scores."""
        return each_device(lambda _, batch: window_step(batch, canvas=self._tile))

    def _pieces(self, state: State, examples: Iterable[Example]) -> Iterator[tuple[Piece, np.ndarray]]:
        """All pieces of each example and their probabilities, [*tile, classes]."""
        config, see = self.experiment.config, functools.partial(self._see, state)
        tiles_at_once = images_at_once(config.batch_size, self._tile)
        if config.input.size is None:
            return in_batches(see, self._tiles(examples), tiles_at_once)
        images = self._resized(examples, config.input.size)
        seen = in_batches(see, images, images_at_once(config.batch_size, config.input.size))
        return in_batches(functools.partial(self._resize, ()), self._windows(seen), tiles_at_once)

    def _tiles(self, examples: Iterable[Example]) -> Iterator[tuple[Piece, Batch]]:
        """What the network sees of images as they are."""
        for number, example in enumerate(examples):
            for part, flip in itertools.product(cut(example["image"].shape, self.tiling), self.flips):
                image = padded(example["image"][part.box][flip], self._tile, 0)
                yield Piece(number, example, part, flip), {"image": image}

    def _resized(
        self, examples: Iterable[Example], size: Size
    ) -> Iterator[tuple[tuple[int, Example, Flip], Batch]]:
        """What it sees of images of another size."""
        for number, example in enumerate(examples):
            image = resized_image(example["image"], size)
            for flip in self.flips:
                yield (number, example, flip), {"image": image[flip]}

    def _windows(
        self, seen: Iterable[tuple[tuple[int, Example, Flip], np.ndarray]]
    ) -> Iterator[tuple[Piece, Batch]]:
        """What its scores are resized to, tile by tile."""
        side_by_side = Tiling(self.tiling.tile, overlap=0)
        for (number, example, flip), scores in seen:
            shape = example["image"].shape
            for part in cut(shape, side_by_side):
                yield (
                    Piece(number, example, part, FLIPS[0]),
                    {
                        "scores": scores[flip],
                        "size": np.array(shape[:2], np.float32),
                        "corner": np.array([side.start for side in part.box], np.float32),
                    },
                )

    def _blended(self, example: Example, pieces: Iterable[tuple[Piece, np.ndarray]]) -> np.ndarray:
        """The mean of an example's pieces by their weights."""
        shape = (*example["image"].shape[:2], len(self.experiment.facts.classes))
        total = np.zeros(shape, np.float32)
        for piece, values in pieces:
            height, width = piece.part.weights.shape
            mine = values[:height, :width][piece.flip]
            total[piece.part.box] += piece.part.weights[..., None] * mine
        total /= len(self.flips)
        # Weights add up to 1 but for rounding.
        return np.minimum(total, 1, out=total)


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
