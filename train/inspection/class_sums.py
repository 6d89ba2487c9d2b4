"""Sums of masks over the pixels of each class, image by image, for labels of any sizes."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from balanced_jax.masks import class_weight_mask, confusion_mask
from train.data.example import VOID

Mask = Callable[[jax.Array, int], jax.Array]
"""A function `(labels, num_classes)` that returns a weight map."""
_PIXELS_PER_BATCH = 2**18
"""Pixels of a batch: it fits the cache of a CPU core and is counted several times as fast as a larger one."""


@cache
def class_weights(beta: float) -> Mask:
    """Return the class weights of a beta; the same object each time, so that it is compiled once."""
    return partial(class_weight_mask, beta=beta)


@cache
def confusion(window: int) -> Mask:
    """Return the confusion mask of a window; the same object each time, so that it is compiled once."""
    return partial(confusion_mask, window=window)


def class_sums(labels: Iterable[np.ndarray], num_classes: int, masks: Sequence[Mask]) -> np.ndarray:
    """Count the pixels of each class in each image, and sum masks over them.

    Args:
        labels: class ids uint8 [h, w] of any sizes.
        num_classes: ids from this on are void.
        masks: to be summed.

    Returns:
        float64 [1 + masks, images, classes], the pixels first; images in any order.
    """
    parts = [
        np.stack([np.asarray(_class_sums(batch, num_classes, mask), np.float64) for mask in (_one, *masks)])[
            :, :count
        ]
        for batch, count in _batches(labels)
    ]
    return np.concatenate([np.zeros((1 + len(masks), 0, num_classes)), *parts], axis=1)


def mean_over_images(sums: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the mean of a mask over a class's pixels of an image, then over the images that show the class.

    Args:
        sums: of the mask, [images, classes].
        pixels: that were summed, [images, classes].

    Returns:
        float64 [classes], NaN for a class that no image shows.
    """
    present = pixels > 0
    means = np.divide(sums, pixels, out=np.zeros_like(sums), where=present).sum(0)
    return np.where(present.any(0), means / np.maximum(1, present.sum(0)), np.nan)


def rescale_confusion(mean: np.ndarray, num_classes: int) -> np.ndarray:
    """Rescale a mean confusion mask such that 1 is far from any boundary and 0 an even mix of two classes.

    Where only two of C classes mix, the mask is at least 1 - log 2 / log C.
    """
    evenly_mixed = 1 - math.log(2) / math.log(num_classes)
    return (mean - evenly_mixed) / (1 - evenly_mixed)


def _one(labels: jax.Array, num_classes: int) -> jax.Array:
    return jnp.ones(labels.shape)


@partial(jax.jit, static_argnums=(1, 2))
def _class_sums(labels: jax.Array, num_classes: int, mask: Mask) -> jax.Array:
    weights = mask(labels, num_classes)
    return jnp.stack([jnp.sum(weights, (1, 2), where=labels == k) for k in range(num_classes)], -1)


def _batches(labels: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    """Yield batches of few shapes, so that little is compiled, and the number of images in each.

    Labels are padded with void, which the masks do not count.
    """
    waiting: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for label in labels:
        shape = tuple(map(_round_up, label.shape))
        waiting[shape].append(label)
        if len(waiting[shape]) == _batch_size(shape):
            yield _pad(waiting.pop(shape), shape)
    for shape, rest in waiting.items():
        yield _pad(rest, shape)


def _pad(labels: Sequence[np.ndarray], shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    batch = np.full((_batch_size(shape), *shape), VOID, np.uint8)
    for padded, label in zip(batch, labels, strict=False):
        padded[: label.shape[0], : label.shape[1]] = label
    return batch, len(labels)


def _batch_size(shape: tuple[int, ...]) -> int:
    return max(1, _PIXELS_PER_BATCH // math.prod(shape))


def _round_up(side: int) -> int:
    """Round up to the next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: at most by half."""
    unit = 1 << max(0, (side - 1).bit_length() - 2)
    return -(-side // unit) * unit
