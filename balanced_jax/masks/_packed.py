"""The confusion mask on a CPU: counters of several classes in one integer, and entropies out of tables."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Shaped, UInt

_TABLE_BITS = 16
"""Bits that are looked up at once: a table of 256 KiB, which the cache of a core holds."""


def purity(labels: Integer[Array, "*batch h w"], num_classes: int, window: int) -> Float[Array, "*batch h w"]:
    """One minus the entropy of the classes around each pixel, by the largest that there can be."""

    def words(labels: Integer[Array, "*images h w"]) -> list[UInt[Array, "*images h w"]]:
        return [
            _kept(lambda labels, k=first: window_sums(packed(labels, k, num_classes, window), window), labels)
            for first in range(0, num_classes, per_word(window))
        ]

    if _bits(window) * num_classes <= _TABLE_BITS:
        return _in_one_table(num_classes, window, *words(labels))

    # Image by image, since several words for a whole batch are more than caches hold.
    def of_image(labels: Integer[Array, "h w"]) -> Float[Array, "h w"]:
        return _kept(functools.partial(_in_tables, num_classes, window), *words(labels))

    images = labels.reshape(math.prod(labels.shape[:-2]), *labels.shape[-2:])
    return jax.lax.map(of_image, images).reshape(labels.shape)


def _kept(stage: Callable[..., Array], *values: Array) -> Array:
    """What a stage makes of values, once and in memory.

    XLA fuses stages, and then sums a window again for each of its neighbours, and for each counter that is
    read out of it. The branches of a condition are compiled apart. They are the same here, so nothing
    depends on which one is taken.
    """
    return jax.lax.cond(jnp.any(values[0][..., :1, :1] == 0), stage, stage, *values)


def _bits(window: int) -> int:
    """Bits of a counter that can hold the whole window."""
    return (window * window).bit_length()


def per_word(window: int) -> int:
    """Counters of a window that fit an integer of 32 bits."""
    return 32 // _bits(window)


def packed(
    labels: Integer[Array, "*batch h w"], first: int, num_classes: int, window: int
) -> UInt[Array, "*batch h w"]:
    """The one-hot planes of the classes from `first` on, as many as fit, side by side in one integer."""
    bits, classes = _bits(window), min(per_word(window), num_classes - first)
    dtype = next(t for t in (jnp.uint8, jnp.uint16, jnp.uint32) if jnp.iinfo(t).bits >= bits * classes)
    inside = (labels >= first) & (labels < first + classes)
    shift = bits * jnp.where(inside, labels - first, 0)
    return jnp.where(inside, jnp.ones((), dtype) << shift.astype(dtype), jnp.zeros((), dtype))


def window_sums(words: UInt[Array, "*batch h w"], window: int) -> UInt[Array, "*batch h w"]:
    """Sums over the square window around each pixel; beyond the image there is nothing to sum."""
    return _sums_along(-1, _sums_along(-2, words, window), window)


def _sums_along(axis: int, words: UInt[Array, "*batch h w"], window: int) -> UInt[Array, "*batch h w"]:
    """Sums over a centred window along one axis.

    Sums of 1, 2, 4, ... neighbours are made by doubling, and those that add up to the window are put side
    by side (7 = 1 + 2 + 4), so that the work grows with the logarithm of the window.
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


def _in_one_table(
    num_classes: int, window: int, words: UInt[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """The purity of windows by all of their counters at once."""
    bits = _bits(window)
    word = np.arange(2 ** (bits * num_classes))[:, None]
    counts = word >> bits * np.arange(num_classes) & 2**bits - 1
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    table = 1 - _entropies(shares).sum(axis=-1) / np.log(num_classes)
    return _at(table.astype(np.float32), words)


def _in_tables(
    num_classes: int, window: int, *words: UInt[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """The purity of windows by the sum of what a few counters at a time add to it.

    With t(c) = -c/N log(c/N), N the pixels of a full window, counts c of n pixels have the entropy
    N/n (sum(t(c)) - t(n)). In integers of 2**-28 that difference loses nothing, and is 0 for one class.
    """
    bits, full = _bits(window), window * window
    at_once = max(1, _TABLE_BITS // bits)
    t = np.round(2.0**28 * _entropies(np.arange(2**bits) / full)).clip(0).astype(np.uint32)
    n = jnp.zeros(words[0].shape, jnp.int32)
    total = jnp.zeros(words[0].shape, jnp.uint32)
    for word, first in zip(words, range(0, num_classes, per_word(window)), strict=True):
        classes = min(per_word(window), num_classes - first)
        # Times 1 + 2**bits + 4**bits + ..., the last counter is the sum of all.
        ones = sum(2 ** (bits * k) for k in range(classes))
        n += (word * ones >> bits * (classes - 1) & 2**bits - 1).astype(jnp.int32)
        for k in range(0, classes, at_once):
            together = min(at_once, classes - k)
            table = functools.reduce(np.add.outer, [t] * together).ravel()
            total += _at(table, word >> bits * k & 2 ** (bits * together) - 1)
    seen = np.maximum(np.arange(full + 1), 1)
    share = (full / seen / np.log(num_classes) / 2.0**28).astype(np.float32)
    return 1 - (total - _at(t, n)).astype(jnp.float32) * _at(share, n)


def _entropies(shares: np.ndarray) -> np.ndarray:
    """-q log(q)."""
    return -shares * np.log(np.where(shares > 0, shares, 1))


def _at(table: np.ndarray, index: Integer[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    return jnp.asarray(table).at[index.astype(jnp.int32)].get(mode="promise_in_bounds")
