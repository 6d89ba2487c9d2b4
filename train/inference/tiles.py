"""Class probabilities of images of any size, with bounded memory and one compiled shape.

A small image is one tile. A larger image is cut into tiles that overlap. In an overlap the weight of a tile
falls towards its border, so that away from the borders of tiles the result equals that of the whole image.
(Networks that pool over their whole input, DeepLabV3, PSPNet and all with group norm, pool over the tile
instead.) An image that the network takes at another size is run as a whole, and its logits are resized back
tile by tile.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from train.data.cache import Batch
from train.data.example import Size
from train.data.resize import padded_image, resized_image
from train.errors import UserError
from train.inference.steps import logits_step, probability_step, resize_step
from train.parallel import inference_batch_size, map_inference, replicate_locally, shard, unshard
from train.training.experiment import Experiment
from train.training.state import State, inference_state

_STRIDE = 32
"""Tiles begin at multiples of this number of pixels, the stride of the coarsest features of the networks
here, so that a tile is pooled in the same blocks as the whole image."""

Flip = tuple[slice, slice]
"""An index that mirrors rows, columns, both or none; applied twice, it changes nothing."""

_DIRECTIONS = slice(None), slice(None, None, -1)
FLIPS: tuple[Flip, ...] = tuple((rows, columns) for rows in _DIRECTIONS for columns in _DIRECTIONS)
"""All four flips; the first changes nothing."""

Image = Mapping[str, Any]
"""A mapping whose `image` is uint8 [h, w, c]."""


@dataclass(frozen=True)
class Tiling:
    """How images larger than a tile are cut."""

    tile: Size = (1024, 1024)
    """Height and width of a tile; smaller tiles take less memory."""
    overlap: int = 128
    """Least overlap of neighboring tiles in pixels; best is the network's receptive field."""

    def __post_init__(self):
        if self.overlap < 0:
            raise UserError(f"overlap: is {self.overlap}, takes at least 0")
        if min(self.tile) < self.overlap + _STRIDE:
            raise UserError(
                f"tile: is {self.tile[0]} {self.tile[1]}, takes at least {self.overlap + _STRIDE} a side, "
                f"{_STRIDE} more than the overlap; take a larger --tile or a smaller --overlap"
            )


class Tile(NamedTuple):
    """A tile of an image."""

    box: tuple[slice, slice]
    """Rows and columns of the image."""
    weights: np.ndarray
    """Blending weights, float32 [h, w]; those of all tiles sum to 1 at every pixel."""


class _Work(NamedTuple):
    """Origin of a batch entry: the image, the tile and the flip."""

    number: int
    """Position of the image in the stream."""
    image: Image
    tile: Tile
    flip: Flip
    """How the entry is mirrored."""


@dataclass(frozen=True)
class Predictor:
    """A function `(state, images)` that yields each image and its probabilities, float32 [h, w, classes].

    It is compiled once, and holds the probabilities of one image at a time.
    """

    experiment: Experiment
    canvas: Size
    """Height and width that hold the largest image."""
    tiling: Tiling
    flips: Sequence[Flip] = FLIPS[:1]
    """The probabilities are the mean over these flips."""

    def __call__(self, state: State, images: Iterable[Image]) -> Iterator[tuple[Image, np.ndarray]]:
        """Yield each image and its probabilities under the state, or under its EMA where it has one."""
        entries = self._entries(replicate_locally(inference_state(state)), images)
        for (_, image), group in itertools.groupby(entries, key=lambda pair: pair[0][:2]):
            yield image, self._blend(image, group)

    @functools.cached_property
    def _tile(self) -> Size:
        """Height and width of a batch entry, at most the canvas, so that padding is as in evaluation."""
        return min(self.tiling.tile[0], self.canvas[0]), min(self.tiling.tile[1], self.canvas[1])

    @functools.cached_property
    def _network(self) -> Callable:
        """The probabilities of tiles, or the logits of whole images that are resized."""
        config = self.experiment.config
        step = probability_step if config.input.size is None else logits_step
        return map_inference(functools.partial(step, model=self.experiment.model, input=config.input))

    @functools.cached_property
    def _resize(self) -> Callable:
        """The probabilities of tiles, from the logits of whole images."""
        return map_inference(lambda _, batch: resize_step(batch, canvas=self._tile))

    def _entries(self, state: State, images: Iterable[Image]) -> Iterator[tuple[_Work, np.ndarray]]:
        """Yield every tile and flip of every image, and its probabilities [*tile, classes]."""
        config, network = self.experiment.config, functools.partial(self._network, state)
        tiles_per_batch = inference_batch_size(config.batch_size, self._tile)
        size = config.input.size
        if size is None:
            return _in_batches(network, self._tiles(images), tiles_per_batch)
        images_per_batch = inference_batch_size(config.batch_size, size)
        logits = _in_batches(network, self._resized_images(images, size), images_per_batch)
        return _in_batches(functools.partial(self._resize, ()), self._windows(logits), tiles_per_batch)

    def _tiles(self, images: Iterable[Image]) -> Iterator[tuple[_Work, Batch]]:
        """Yield the inputs of the network from images at their own size."""
        for number, image in enumerate(images):
            for tile, flip in itertools.product(cut(image["image"].shape, self.tiling), self.flips):
                pixels = padded_image(image["image"][tile.box][flip], self._tile)
                yield _Work(number, image, tile, flip), {"image": pixels}

    def _resized_images(
        self, images: Iterable[Image], size: Size
    ) -> Iterator[tuple[tuple[int, Image, Flip], Batch]]:
        """Yield the inputs of the network from images at another size."""
        for number, image in enumerate(images):
            pixels = resized_image(image["image"], size)
            for flip in self.flips:
                yield (number, image, flip), {"image": pixels[flip]}

    def _windows(
        self, logits: Iterable[tuple[tuple[int, Image, Flip], np.ndarray]]
    ) -> Iterator[tuple[_Work, Batch]]:
        """Yield the inputs of `resize_step`, tile by tile."""
        side_by_side = Tiling(self.tiling.tile, overlap=0)
        for (number, image, flip), values in logits:
            shape = image["image"].shape
            for tile in cut(shape, side_by_side):
                yield (
                    _Work(number, image, tile, FLIPS[0]),
                    {
                        "logits": values[flip],
                        "size": np.array(shape[:2], np.float32),
                        "corner": np.array([side.start for side in tile.box], np.float32),
                    },
                )

    def _blend(self, image: Image, entries: Iterable[tuple[_Work, np.ndarray]]) -> np.ndarray:
        """Return the weighted mean of the tiles and flips of an image."""
        shape = (*image["image"].shape[:2], len(self.experiment.facts.classes))
        total = np.zeros(shape, np.float32)
        for work, probabilities in entries:
            height, width = work.tile.weights.shape
            upright = probabilities[:height, :width][work.flip]
            total[work.tile.box] += work.tile.weights[..., None] * upright
        total /= len(self.flips)
        # The weights sum to 1 up to rounding.
        return np.minimum(total, 1, out=total)


def cut(shape: Sequence[int], tiling: Tiling) -> Iterator[Tile]:
    """Yield the tiles that cover an image [h, w, ...], row by row."""
    rows, columns = (
        _spans(side, tile, tiling.overlap) for side, tile in zip(shape[:2], tiling.tile, strict=True)
    )
    for (vertical, weights), (horizontal, others) in itertools.product(rows, columns):
        yield Tile((vertical, horizontal), weights[:, None] * others)


def _spans(side: int, tile: int, overlap: int) -> list[tuple[slice, np.ndarray]]:
    """Return the spans of the tiles along one side of an image, and their blending weights, float32.

    Weights rise linearly over the overlap where a tile begins inside the image, and fall linearly where it
    ends inside. They are divided by their sum over the tiles.
    """
    last = -(-max(0, side - tile) // _STRIDE) * _STRIDE
    starts = [*range(0, last, (tile - overlap) // _STRIDE * _STRIDE), last]
    spans = [slice(start, min(start + tile, side)) for start in starts]
    weights = []
    for span in spans:
        offset = np.arange(span.stop - span.start)
        rising = offset + 1 if span.start > 0 else np.inf
        falling = tile - offset if span.stop < side else np.inf
        weights.append(np.minimum(np.minimum(rising, falling) / (overlap + 1), np.ones(offset.size)))
    total = np.zeros(side)
    for span, weight in zip(spans, weights, strict=True):
        total[span] += weight
    return [
        (span, (weight / total[span]).astype(np.float32)) for span, weight in zip(spans, weights, strict=True)
    ]


def _in_batches(
    step: Callable[[Batch], Any], items: Iterable[tuple[Any, Batch]], batch_size: int
) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield the output of a step for each item of a stream, beside the item's tag.

    Args:
        step: takes a batch that `shard` split over the devices.
        items: a tag and arrays by name, of the same shapes throughout.
        batch_size: items of a batch; the last batch is filled with copies.
    """
    stream = iter(items)
    while group := list(itertools.islice(stream, batch_size)):
        tags, batches = zip(*group, strict=True)
        filled = [*batches, *batches[-1:] * (batch_size - len(batches))]
        outputs = unshard(step(shard(jax.tree.map(lambda *x: np.stack(x), *filled))))
        yield from zip(tags, outputs, strict=False)
