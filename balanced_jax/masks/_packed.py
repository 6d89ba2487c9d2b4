"""The confusion mask on CPU: counters of several classes in one integer, entropies from look-up tables."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Shaped, UInt

_TABLE_BITS = 16
"""Bits of the index of a look-up table: 2**16 floats are 256 KiB, which fit the cache of a core."""


def purity(labels: Integer[Array, "*batch h w"], num_classes: int, window: int) -> Float[Array, "*batch h w"]:
    """Return one minus the entropy of the classes in the window around each pixel over its maximum."""

    def words(labels: Integer[Array, "*images h w"]) -> list[UInt[Array, "*images h w"]]:
        return [
            _materialize(
                lambda labels, k=first: window_sums(pack_one_hot(labels, k, num_classes, window), window),
                labels,
            )
            for first in range(0, num_classes, counters_per_word(window))
        ]

    if _counter_bits(window) * num_classes <= _TABLE_BITS:
        return _purity_from_table(num_classes, window, *words(labels))

    # Image by image: several words for a whole batch exceed the caches.
    def image_purity(labels: Integer[Array, "h w"]) -> Float[Array, "h w"]:
        return _materialize(functools.partial(_purity_from_tables, num_classes, window), *words(labels))

    images = labels.reshape(math.prod(labels.shape[:-2]), *labels.shape[-2:])
    return jax.lax.map(image_purity, images).reshape(labels.shape)


def _materialize(stage: Callable[..., Array], *values: Array) -> Array:
    """Compute a stage without fusing it into its consumers.

    XLA would fuse stages, and sum a window again for each of its neighbors and for each counter that is read
    from the sum. Branches of a conditional are compiled separately; here both branches are the same stage, so
    the predicate does not matter.
    """
    return jax.lax.cond(jnp.any(values[0][..., :1, :1] == 0), stage, stage, *values)


def _counter_bits(window: int) -> int:
    """Return the bits of a counter that can hold all pixels of the window."""
    return (window * window).bit_length()


def counters_per_word(window: int) -> int:
    """Return the number of counters that fit a 32-bit integer."""
    return 32 // _counter_bits(window)


def pack_one_hot(
    labels: Integer[Array, "*batch h w"], first: int, num_classes: int, window: int
) -> UInt[Array, "*batch h w"]:
    """Pack one-hot planes of the classes from `first` on, as many as fit, into the counters of a word."""
    bits, classes = _counter_bits(window), min(counters_per_word(window), num_classes - first)
    dtype = next(t for t in (jnp.uint8, jnp.uint16, jnp.uint32) if jnp.iinfo(t).bits >= bits * classes)
    is_packed = (labels >= first) & (labels < first + classes)
    shift = bits * jnp.where(is_packed, labels - first, 0)
    return jnp.where(is_packed, jnp.ones((), dtype) << shift.astype(dtype), jnp.zeros((), dtype))


def window_sums(words: UInt[Array, "*batch h w"], window: int) -> UInt[Array, "*batch h w"]:
    """Sum over the square window around each pixel, with zeros beyond the image."""
    return _sums_along(-1, _sums_along(-2, words, window), window)


def _sums_along(axis: int, words: UInt[Array, "*batch h w"], window: int) -> UInt[Array, "*batch h w"]:
    """Sum over a centered window along one axis.

    Sums of 1, 2, 4, ... neighbors are made by doubling. Those whose widths add up to the window are placed
    side by side (7 = 1 + 2 + 4), so the work grows with the logarithm of the window.
    """
    size, axis = words.shape[axis], axis % words.ndim
    padding = [(0, 0)] * words.ndim
    padding[axis] = (window // 2, window // 2)
    partial = jnp.pad(words, padding)

    def sliced(start: int, end: int) -> Array:
        return jax.lax.slice_in_dim(partial, start, end, axis=axis)

    total, start = jnp.zeros_like(words), 0
    for width in (2**bit for bit in range(window.bit_length())):
        if width > 1:
            end = partial.shape[axis]
            partial = sliced(0, end - width // 2) + sliced(width // 2, end)
        if window & width:
            total += sliced(start, start + size)
            start += width
    return total


def _purity_from_table(
    num_classes: int, window: int, words: UInt[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """Look up the purity of windows whose counters all fit the index of one table."""
    bits = _counter_bits(window)
    word = np.arange(2 ** (bits * num_classes))[:, None]
    counts = word >> bits * np.arange(num_classes) & 2**bits - 1
    fractions = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    table = 1 - _entropy_terms(fractions).sum(axis=-1) / np.log(num_classes)
    return _look_up(table.astype(np.float32), words)


def _purity_from_tables(
    num_classes: int, window: int, *words: UInt[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """Compute the purity of windows from a table that is indexed by a few counters at a time.

    With t(c) = -c/N log(c/N), N the pixels of a full window, counts c of n pixels have the entropy
    N/n (sum(t(c)) - t(n)). In integers, multiples of 2**-28, the difference is exact, and 0 for one class.
    """
    bits, window_pixels = _counter_bits(window), window * window
    counters_per_index = max(1, _TABLE_BITS // bits)
    t = np.round(2.0**28 * _entropy_terms(np.arange(2**bits) / window_pixels)).clip(0).astype(np.uint32)
    n = jnp.zeros(words[0].shape, jnp.int32)
    total = jnp.zeros(words[0].shape, jnp.uint32)
    for word, first in zip(words, range(0, num_classes, counters_per_word(window)), strict=True):
        classes = min(counters_per_word(window), num_classes - first)
        # Multiplied by 1 + 2**bits + 4**bits + ..., the last counter is the sum of all.
        ones = sum(2 ** (bits * k) for k in range(classes))
        n += (word * ones >> bits * (classes - 1) & 2**bits - 1).astype(jnp.int32)
        for k in range(0, classes, counters_per_index):
            counters = min(counters_per_index, classes - k)
            table = functools.reduce(np.add.outer, [t] * counters).ravel()
            total += _look_up(table, word >> bits * k & 2 ** (bits * counters) - 1)
    divisor = np.maximum(np.arange(window_pixels + 1), 1)
    scale = (window_pixels / divisor / np.log(num_classes) / 2.0**28).astype(np.float32)
    return 1 - (total - _look_up(t, n)).astype(jnp.float32) * _look_up(scale, n)


def _entropy_terms(q: np.ndarray) -> np.ndarray:
    """Return -q log(q)."""
    return -q * np.log(np.where(q > 0, q, 1))


def _look_up(table: np.ndarray, index: Integer[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    return jnp.asarray(table).at[index.astype(jnp.int32)].get(mode="promise_in_bounds")
