"""Checks and conversions of arguments."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Integer, ScalarLike


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
