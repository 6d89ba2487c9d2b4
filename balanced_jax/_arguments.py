"""Checks and conversions of arguments."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Integer, Real, ScalarLike


def as_class_indices(
    name: str, labels: ArrayLike, num_classes: int, min_classes: int = 1
) -> Integer[Array, "*batch h w"]:
    """Return labels in an integer type that can be compared with any class index."""
    check_static(num_classes=num_classes)
    if num_classes < min_classes:
        raise ValueError(f"num_classes must be at least {min_classes}, got {num_classes}")
    if isinstance(labels, np.ndarray) and labels.dtype in (np.int64, np.uint64):
        # JAX would keep the low 32 bits, and 2**32 would become class 0.
        labels = np.where((labels >= 0) & (labels < num_classes), labels, num_classes).astype(np.int32)
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f'{name} must be integers, got {labels.dtype}: write {name}.astype("int32")')
    if labels.ndim < 2:
        raise ValueError(f"{name} must have shape [..., H, W], got {labels.shape}")
    return labels if labels.dtype.itemsize >= 4 else labels.astype(jnp.int32)


def check_static(**arguments: object) -> None:
    """Raise TypeError for an argument that is traced, though the program depends on its value."""
    for name, value in arguments.items():
        if isinstance(value, Tracer):
            raise TypeError(
                f'{name} must not be traced, got {value}: add "{name}" to static_argnames of jax.jit'
            )


def as_float(name: str, values: ArrayLike) -> Float[Array, "..."]:
    """Return floating-point values in at least single precision."""
    values = jnp.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating point, got {values.dtype}")
    return values.astype(at_least_float32(values.dtype))


def at_least_float32(dtype: DTypeLike) -> DTypeLike:
    """Return float64 for float64, float32 for any smaller floating-point type."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32


def as_constant(
    name: str,
    value: ScalarLike,
    is_valid: Callable[[float], bool],
    valid_range: str,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, ""]:
    """Return a hyperparameter as an array without gradient; its range is checked unless it is traced."""
    if jnp.shape(value) != ():
        raise ValueError(f"{name} must be one number, got shape {jnp.shape(value)}")
    number = concrete_value(value)
    if number is not None and not is_valid(number):
        raise ValueError(f"{name} must be {valid_range}, got {number}")
    return jax.lax.stop_gradient(jnp.asarray(value, dtype))


def as_class_values(
    name: str,
    values: Real[ArrayLike, "..."] | Sequence[ScalarLike],
    num_classes: int,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "classes"]:
    """Return one number for each class as an array without gradient; its range is checked unless traced."""
    array = jnp.asarray(values, dtype)
    if array.shape != (num_classes,):
        raise ValueError(f"{name} must have shape {(num_classes,)}, one number a class, got {array.shape}")
    if not any(isinstance(value, Tracer) for value in jax.tree.leaves(values)):
        numbers = np.asarray(values, np.float64)
        if not np.all(np.isfinite(numbers) & (numbers >= 0)):
            raise ValueError(f"{name} must be finite and at least 0, got {numbers.tolist()}")
    return jax.lax.stop_gradient(array)


def concrete_value(value: ScalarLike) -> float | None:
    """Return a hyperparameter as a Python number, or None if it is traced."""
    return None if isinstance(value, Tracer) else float(np.asarray(value))
