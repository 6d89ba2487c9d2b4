"""Look-ups by label: one-hot planes, pixels of each class, and the value at each pixel's class."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Integer, Shaped


def one_hot(labels: Integer[Array, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w classes"]:
    """Which class each pixel has; no class at all at void pixels."""
    return jax.nn.one_hot(labels, num_classes, dtype=bool)


def class_pixels(labels: Integer[Array, "*batch h w"], num_classes: int) -> Integer[Array, "*batch classes"]:
    """How many pixels of each image have each class, in int32.

    Four counters to a word, of eight bits, so that up to 255 rows can be added before they are unpacked. XLA
    on a CPU makes one loop of a sum over 16; sums of one-hot planes take it ten times as long.
    """
    rows = 16
    *batch, height, width = labels.shape
    whole = jnp.pad(labels, [*[(0, 0)] * len(batch), (0, -height % rows), (0, 0)], constant_values=-1)
    blocks = whole.reshape(*batch, whole.shape[-2] // rows, rows, width)
    counts = []
    for first in range(0, num_classes, 4):
        inside = (blocks >= first) & (blocks < first + 4)
        shift = 8 * jnp.where(inside, blocks - first, 0).astype(jnp.uint32)
        words = jnp.where(inside, jnp.uint32(1) << shift, jnp.uint32(0))
        words = jnp.sum(words, axis=-2, dtype=jnp.uint32)
        four = jnp.stack([words >> jnp.uint32(8 * k) & jnp.uint32(255) for k in range(4)], axis=-1)
        counts.append(jnp.sum(four, axis=(-3, -2), dtype=jnp.int32))
    return jnp.concatenate(counts, axis=-1)[..., :num_classes]


def at_label(
    per_class: Shaped[Array, "*batch classes"], labels: Integer[Array, "*batch h w"]
) -> Shaped[Array, "*batch h w"]:
    """Each pixel's entry in a table of its image's classes; 0 at void pixels."""
    found = jnp.zeros(labels.shape, per_class.dtype)
    for k in range(per_class.shape[-1]):
        found = jnp.where(labels == k, per_class[..., k, None, None], found)
    return found
