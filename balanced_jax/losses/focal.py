"""Cross entropy that fades on pixels already predicted well."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, Real, ScalarLike

from balanced_jax._pixels import at_label, constant, one_hot
from balanced_jax.losses._softmax import checked


def softmax_focal_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    gamma: ScalarLike = 2.0,
    alpha: Real[ArrayLike, "classes"] | Sequence[ScalarLike] | None = None,
) -> Float[Array, "*batch h w"]:
    """Cross entropy that fades on pixels already predicted well.

    A pixel whose label has softmax probability p costs -alpha * (1 - p)**gamma * log(p).

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts; multiplies the map. Ignored at void pixels.
        gamma: focusing exponent, at least 0; 0 is cross entropy. May be traced.
        alpha: factor of each class, one number a class; None is 1 for all. May be traced.

    Returns:
        Cost of each pixel in nats, never reduced; float32, or float64 for float64 logits. Gamma and alpha
        are constants to differentiation.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, or gamma below 0.

    References:
        Lin et al. 2017, arXiv:1708.02002, eq. 5, with softmax in the place of the sigmoid.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0, 0.0], [0.0, 2.0]]], np.float32), np.array([[0, 0]])
    >>> print(np.asarray(softmax_focal_loss(logits, labels)).round(3))  # right, wrong
    [[0.002 1.65 ]]
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    num_classes = logits.shape[-1]
    gamma = constant("gamma", gamma, lambda g: g >= 0, "at least 0", logits.dtype)
    chosen = one_hot(labels, num_classes)
    if alpha is not None:
        alpha = jax.lax.stop_gradient(jnp.asarray(alpha, logits.dtype))
        if alpha.shape != (num_classes,):
            raise ValueError(f"alpha must have shape {(num_classes,)}, one number a class, got {alpha.shape}")
        weights *= at_label(jnp.broadcast_to(alpha, (*labels.shape[:-2], num_classes)), chosen)

    logits -= jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    others = jax.nn.logsumexp(logits, axis=-1, where=~chosen)
    # log((1 - p) / p). Either factor is a function of it that keeps its digits, and its gradient, where p is
    # 0 or 1; (1 - p)**gamma with gamma below 1 would have an infinite one.
    odds = others - jnp.sum(logits, axis=-1, where=chosen)
    cost = jnp.exp(-gamma * jax.nn.softplus(-odds)) * jax.nn.softplus(odds)
    return jnp.where(valid, weights * cost, 0)
