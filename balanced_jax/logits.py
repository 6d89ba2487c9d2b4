"""Transformations of logits before a loss: logit adjustment and neighbor penalization.

    cost = softmax_cross_entropy(adjust_logits(logits, frequencies), labels)

Args:
    logits: unnormalized finite scores [..., H, W, C], in any floating-point type.

Returns:
    Logits of the same shape in float32, or float64 for float64 logits.

Raises:
    TypeError: logits are not floating point, or labels not integers.
    ValueError: shapes do not match, or an argument is outside its range.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, Real, ScalarLike

from balanced_jax._arguments import as_class_indices, as_class_values, as_constant, as_logits, check_window
from balanced_jax._labels import one_hot
from balanced_jax._sharding import shard_automatically

__all__ = ["adjust_logits", "penalize_neighbors"]


def adjust_logits(
    logits: Float[ArrayLike, "*batch h w classes"],
    class_frequencies: Real[ArrayLike, "classes"] | Sequence[ScalarLike],
    *,
    tau: ScalarLike = 1.0,
) -> Float[Array, "*batch h w classes"]:
    """Add the logarithm of each class's frequency, times tau, to its logit.

    A network trained under a loss of adjusted logits predicts, by its own logits, as if all classes were
    equally frequent. For a network trained without the adjustment, `tau=-1` removes the prior afterwards.

    Args:
        logits: see `balanced_jax.logits` (result and errors, too).
        class_frequencies: share of the pixels of each class in the training images, [C]; above 0. A common
            factor changes no probability. May be traced.
        tau: factor of the logarithms; any finite number. May be traced.

    References:
        Menon et al. 2021, arXiv:2007.07314, eqs. 9 and 10.

    >>> import numpy as np
    >>> logits = np.zeros((1, 1, 2), np.float32)
    >>> print(np.asarray(adjust_logits(logits, np.array([0.99, 0.01]))).round(2))
    [[[-0.01 -4.61]]]
    """
    logits = as_logits(logits)
    frequencies = as_class_values(
        "class_frequencies", class_frequencies, logits.shape[-1], logits.dtype, positive=True
    )
    tau = as_constant("tau", tau, lambda t: abs(t) < float("inf"), "finite", logits.dtype)
    return logits + jnp.broadcast_to(tau * jnp.log(frequencies), logits.shape)


def penalize_neighbors(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    window: int = 3,
) -> Float[Array, "*batch h w classes"]:
    """Replace each logit by the worst in the square window around its pixel.

    The logit of a pixel's own class becomes the smallest logit of that class over the window's pixels of that
    class; any other logit becomes the largest over the window's pixels of other classes than that logit's. So
    a wrong pixel is charged once for every pixel of its class in the window.
    Void pixels keep their logits and are nobody's neighbors.

    Args:
        logits: see `balanced_jax.logits` (result and errors, too).
        labels: class indices [..., H, W] in any integer type; outside [0, C) a pixel is void.
        window: side of the square in pixels, odd and at least 1; 1 changes nothing. A TypeError if not an
            integer.

    References:
        Valverde et al. 2026, "Towards High-Quality Image Segmentation: Improving Topology Accuracy by
        Penalizing Neighbor Pixels", and their code at github.com/jmlipman/SCNP-SameClassNeighborPenalization,
        which knows no void pixels.

    >>> import numpy as np
    >>> logits = np.array([[[0.0, 3.0], [0.0, -1.0], [2.0, 0.0]]], np.float32)
    >>> print(np.asarray(penalize_neighbors(logits, np.array([[1, 1, 0]]))))
    [[[ 0. -1.]
      [ 0. -1.]
      [ 2.  0.]]]
    """
    check_window(window, smallest=1)
    logits = as_logits(logits)
    num_classes = logits.shape[-1]
    labels = as_class_indices("labels", labels, num_classes)
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels must have shape {logits.shape[:-1]}, that of logits less classes, got {labels.shape}"
        )
    is_label = one_hot(labels, num_classes)
    is_other = jnp.any(is_label, axis=-1, keepdims=True) & ~is_label
    largest_in_window = functools.partial(_largest_in_window, window=window)
    smallest = -shard_automatically(largest_in_window, -logits, is_label)
    largest = shard_automatically(largest_in_window, logits, is_other)
    return jnp.where(is_label, smallest, jnp.where(is_other, largest, logits))


def _largest_in_window(
    values: Float[Array, "*batch h w classes"], where: Bool[Array, "*batch h w classes"], window: int
) -> Float[Array, "*batch h w classes"]:
    """Return the largest of the chosen values in the window; the lowest number where there are none."""
    lowest = jnp.finfo(values.dtype).min
    values = jnp.where(where, values, lowest)
    for axis in (-3, -2):
        padding = [(0, 0)] * values.ndim
        padding[axis] = (window // 2, window // 2)
        padded, size = jnp.pad(values, padding, constant_values=lowest), values.shape[axis]
        shifted = [jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k in range(window)]
        values = functools.reduce(jnp.maximum, shifted)
    return values
