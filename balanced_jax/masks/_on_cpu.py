"""The confusion mask on a CPU, where logarithms cost more than memory."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, UInt

from balanced_jax.masks._counters import pack_one_hot, unpack


def purity(labels: Integer[Array, "*batch h w"], num_classes: int, window: int) -> Float[Array, "*batch h w"]:
    """Return one minus the entropy of the classes in the window around each pixel over its maximum.

    Image by image, so that counters stay in the caches; a whole batch takes two to five times as long.
    """
    images = labels.reshape(math.prod(labels.shape[:-2]), *labels.shape[-2:])
    image_purity = functools.partial(_image_purity, num_classes=num_classes, window=window)
    return jax.lax.map(image_purity, images).reshape(labels.shape)


def _image_purity(labels: Integer[Array, "h w"], num_classes: int, window: int) -> Float[Array, "h w"]:
    """Look up the terms of the entropy in a table.

    If classes cover the parts q of a full window, and all of them together Q, the purity of the window is
    (Q + t(Q) - sum(t(q))) / Q with t(q) = -q log(q) / log(num_classes). In integers the difference is exact.
    """
    sums = [_window_sums(words, window) for words in pack_one_hot(labels, num_classes, window)]
    counts = unpack(sums, num_classes, window)
    n = jnp.maximum(sum(counts), 1)
    scale = 2.0**31 - 8  # a difference of up to 1 fits 32 bits; its terms may wrap around
    q = np.arange(window**2 + 1) / window**2
    t = -q * np.log(np.maximum(q, 1 / window**2)) / np.log(num_classes)
    terms = (np.round(scale * x).astype(np.int64) for x in (t, q + t))
    term, term_of_all = (jnp.asarray(x.astype(np.int32)) for x in terms)
    difference = term_of_all[n] - sum(term[c] for c in counts)
    return difference.astype(jnp.float32) / n.astype(jnp.float32) * np.float32(window**2 / scale)


def _window_sums(words: UInt[Array, "h w"], window: int) -> UInt[Array, "h w"]:
    """Sum over rows, then over columns: XLA:CPU would fuse slices, and sum the rows anew for each column."""
    for shape in ((window, 1), (1, window)):
        words = jax.lax.reduce_window(words, np.zeros((), words.dtype), jax.lax.add, shape, (1, 1), "SAME")
    return words
