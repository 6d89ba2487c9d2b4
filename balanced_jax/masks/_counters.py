"""Pixel counts of the classes in the window around each pixel, several classes in one integer.

One-hot planes would be read and written once for each class. Packed, the classes of a word share the memory
traffic of its window sums, on every platform.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, UInt


def pack_one_hot(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> list[UInt[Array, "*batch h w"]]:
    """Return words that hold a 1 in the counter of the pixel's class; all 0 at void pixels."""
    bits, words = _counter_bits(window), []
    for first in range(0, num_classes, 32 // bits):
        classes = min(32 // bits, num_classes - first)
        dtype = np.min_scalar_type(2 ** (bits * classes) - 1)
        is_packed = (labels >= first) & (labels < first + classes)
        shift = bits * jnp.where(is_packed, labels - first, 0)
        words.append(jnp.where(is_packed, jnp.ones((), dtype) << shift.astype(dtype), jnp.zeros((), dtype)))
    return words


def window_sums(words: UInt[Array, "*batch h w"], window: int) -> UInt[Array, "*batch h w"]:
    """Sum over the square window around each pixel, with zeros beyond the image."""
    for axis in (-2, -1):
        padding = [(0, 0)] * words.ndim
        padding[axis] = (window // 2, window // 2)
        padded, size = jnp.pad(words, padding), words.shape[axis]
        shifted = [jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k in range(window)]
        words = functools.reduce(jnp.add, shifted)
    return words


def unpack(
    sums: list[UInt[Array, "*batch h w"]], num_classes: int, window: int
) -> list[Integer[Array, "*batch h w"]]:
    """Return the counter of each class."""
    bits = _counter_bits(window)
    places = [divmod(k, 32 // bits) for k in range(num_classes)]
    return [(sums[word] >> bits * k & 2**bits - 1).astype(jnp.int32) for word, k in places]


def _counter_bits(window: int) -> int:
    """Return the bits of a counter that can hold all pixels of the window."""
    return (window * window).bit_length()
