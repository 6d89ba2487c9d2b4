"""Checks and look-ups shared by everything that is computed from labels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, DTypeLike, Float, Integer, ScalarLike, Shaped


def as_classes(
    name: str, labels: ArrayLike, num_classes: int, at_least: int = 1
) -> Integer[Array, "*batch h w"]:
    """Labels as integers wide enough to be compared with any class index."""
    if num_classes < at_least:
        raise ValueError(f"num_classes must be at least {at_least}, got {num_classes}")
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers, got {labels.dtype}")
    if labels.ndim < 2:
        raise ValueError(f"{name} must have shape [..., H, W], got {labels.shape}")
    return labels if labels.dtype.itemsize >= 4 else labels.astype(jnp.int32)


def as_float(name: str, values: ArrayLike) -> Float[Array, "..."]:
    """Floating-point values in at least single precision."""
    values = jnp.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating point, got {values.dtype}")
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def known(value: ScalarLike) -> float | None:
    """The number behind a hyper-parameter; None while it is traced."""
    return None if isinstance(value, Tracer) else float(np.asarray(value))


def constant(
    name: str,
    value: ScalarLike,
    accepts: Callable[[float], bool],
    takes: str,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, ""]:
    """A hyper-parameter as an array that differentiation leaves alone."""
    if jnp.shape(value) != ():
        raise ValueError(f"{name} must be one number, got shape {jnp.shape(value)}")
    number = known(value)
    if number is not None and not accepts(number):
        raise ValueError(f"{name} must be {takes}, got {number}")
    return jax.lax.stop_gradient(jnp.asarray(value, dtype))


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
