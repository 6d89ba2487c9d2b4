"""Checks and conversions of arguments."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, DTypeLike, Float, Integer, Real, ScalarLike

PixelWeights = Real[ArrayLike, "*batch h w"] | Bool[ArrayLike, "*batch h w"]
"""Weights of pixels in any type that a mask has."""
EntryWeights = Real[ArrayLike, "*batch h w classes"] | Bool[ArrayLike, "*batch h w classes"]
"""Weights of the classes of each pixel."""


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


def as_host_labels(labels: ArrayLike, num_classes: int) -> Integer[np.ndarray, "*batch h w"]:
    """Return labels as a NumPy array; raise a TypeError for those that are traced."""
    if isinstance(labels, Tracer):
        raise TypeError(
            f"labels must be concrete, since this mask is made on the host, got {labels}: "
            "make the mask outside of jit and vmap"
        )
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f'labels must be integers, got {labels.dtype}: write labels.astype("int32")')
    if labels.ndim < 2:
        raise ValueError(f"labels must have shape [..., H, W], got {labels.shape}")
    return labels


def check_static(**arguments: object) -> None:
    """Raise TypeError for an argument that is traced, though the program depends on its value."""
    for name, value in arguments.items():
        if isinstance(value, Tracer):
            raise TypeError(
                f'{name} must not be traced, got {value}: add "{name}" to static_argnames of jax.jit'
            )


def check_window(window: int, smallest: int = 3) -> None:
    """Raise TypeError or ValueError for a window that is no odd integer of at least `smallest`."""
    check_static(window=window)
    if not isinstance(window, int | np.integer):
        raise TypeError(f"window must be an integer, got {window!r}")
    if window < smallest or window % 2 == 0:
        raise ValueError(f"window must be odd and at least {smallest}, got {window}")


def as_float(name: str, values: ArrayLike) -> Float[Array, "..."]:
    """Return floating-point values in at least single precision."""
    values = jnp.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating point, got {values.dtype}")
    return values.astype(at_least_float32(values.dtype))


def as_logits(logits: Float[ArrayLike, "..."], min_classes: int = 2) -> Float[Array, "*batch h w classes"]:
    """Return logits in at least single precision."""
    logits = as_float("logits", logits)
    if logits.ndim < 3 or logits.shape[-1] < min_classes:
        raise ValueError(
            f"logits must have shape [..., H, W, C] with C of at least {min_classes}, got {logits.shape}"
        )
    return logits


def as_weights(
    weights: PixelWeights | None, valid: Bool[Array, "*batch h w"], dtype: DTypeLike
) -> Float[Array, "*batch h w"]:
    """Return weights that are 0 at void pixels; None is 1 at all others."""
    if weights is None:
        return valid.astype(dtype)
    if jnp.shape(weights) != valid.shape:
        raise ValueError(f"weights must have shape {valid.shape}, that of labels, got {jnp.shape(weights)}")
    # Set to 0 before any product: a NaN weight at a void pixel would survive a multiplication by 0.
    return jnp.where(valid, jnp.asarray(weights, dtype), 0)


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
    *,
    positive: bool = False,
) -> Float[Array, "classes"]:
    """Return one number for each class as an array without gradient; its range is checked unless traced."""
    array = jnp.asarray(values, dtype)
    if array.shape != (num_classes,):
        raise ValueError(f"{name} must have shape {(num_classes,)}, one number a class, got {array.shape}")
    if not any(isinstance(value, Tracer) for value in jax.tree.leaves(values)):
        numbers = np.asarray(values, np.float64)
        if not np.all(np.isfinite(numbers) & ((numbers > 0) if positive else (numbers >= 0))):
            valid_range = "above 0" if positive else "at least 0"
            raise ValueError(f"{name} must be finite and {valid_range}, got {numbers.tolist()}")
    return jax.lax.stop_gradient(array)


def check_counts(**counts: Integer[ArrayLike, "..."]) -> None:
    """Raise ValueError for counts below 0, which sums in int32 become beyond 2**31 pixels."""
    for name, count in counts.items():
        smallest = np.asarray(count).min(initial=0)
        if smallest < 0:
            raise ValueError(
                f"{name} must be at least 0, got {smallest}: int32 overflows when counts are added, so stack "
                "those of images by np.concatenate"
            )


def concrete_value(value: ScalarLike) -> float | None:
    """Return a hyperparameter as a Python number, or None if it is traced."""
    return None if isinstance(value, Tracer) else float(np.asarray(value))
