"""Look-ups by label: one-hot planes, pixel counts of the classes, and per-class values at every pixel."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Integer, Shaped

from balanced_jax._sharding import shard_automatically


def one_hot(labels: Integer[Array, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w classes"]:
    """Return one-hot labels; False for every class at void pixels."""
    return jax.nn.one_hot(labels, num_classes, dtype=bool)


@functools.partial(jax.jit, static_argnums=1)  # one program; eager calls would compile at each call
def class_counts(labels: Integer[Array, "*batch h w"], num_classes: int) -> Integer[Array, "*batch classes"]:
    """Count the pixels of each class in each image, in int32."""
    count = functools.partial(
        jax.lax.platform_dependent,
        cpu=lambda y: _class_counts_in_words(y, num_classes),
        default=lambda y: jnp.sum(one_hot(y, num_classes), axis=(-3, -2), dtype=jnp.int32),
    )
    return shard_automatically(count, labels, axes=labels.ndim - 2)


def _class_counts_in_words(
    labels: Integer[Array, "*batch h w"], num_classes: int
) -> Integer[Array, "*batch classes"]:
    """Count in 8-bit counters of four classes, which a 32-bit word holds, and 16 rows before unpacking.

    XLA:CPU compiles a sum over 16 rows to one loop; sums of one-hot planes take ten times as long there.
    """
    rows = 16
    *batch, height, width = labels.shape
    padded = jnp.pad(labels, [*[(0, 0)] * len(batch), (0, -height % rows), (0, 0)], constant_values=-1)
    blocks = padded.reshape(*batch, padded.shape[-2] // rows, rows, width)
    counts = []
    for first in range(0, num_classes, 4):
        counted = (blocks >= first) & (blocks < first + 4)
        shift = 8 * jnp.where(counted, blocks - first, 0).astype(jnp.uint32)
        words = jnp.where(counted, jnp.uint32(1) << shift, jnp.uint32(0))
        words = jnp.sum(words, axis=-2, dtype=jnp.uint32)
        counters = jnp.stack([words >> jnp.uint32(8 * k) & jnp.uint32(255) for k in range(4)], axis=-1)
        counts.append(jnp.sum(counters, axis=(-3, -2), dtype=jnp.int32))
    return jnp.concatenate(counts, axis=-1)[..., :num_classes]


def take_by_label(
    per_class: Shaped[Array, "*batch classes"], labels: Integer[Array, "*batch h w"]
) -> Shaped[Array, "*batch h w"]:
    """Return at each pixel its class's entry in a per-class table of the image; 0 at void pixels."""
    values = jnp.zeros(labels.shape, per_class.dtype)
    for k in range(per_class.shape[-1]):
        values = jnp.where(labels == k, per_class[..., k, None, None], values)
    return values


def broadcast_by_label(
    per_class: Shaped[Array, "classes"], labels: Integer[Array, "*batch h w"]
) -> Shaped[Array, "*batch h w"]:
    """Return at each pixel its class's entry in one table for all images; 0 at void pixels."""
    return take_by_label(jnp.broadcast_to(per_class, (*labels.shape[:-2], per_class.shape[0])), labels)
