"""Cross entropy that fades on pixels already predicted well."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, Real, ScalarLike

from balanced_jax._arguments import constant
from balanced_jax._labels import at_label
from balanced_jax.losses import _sigmoid
from balanced_jax.losses._log_odds import right_by_wrong, surprise
from balanced_jax.losses._softmax import checked, log_odds_of_error


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
    if alpha is not None:
        alpha = jax.lax.stop_gradient(jnp.asarray(alpha, logits.dtype))
        if alpha.shape != (num_classes,):
            raise ValueError(f"alpha must have shape {(num_classes,)}, one number a class, got {alpha.shape}")
        by_image = jnp.broadcast_to(alpha, (*labels.shape[:-2], num_classes))
        weights *= at_label(by_image, labels)
    return jnp.where(valid, weights * _focal(log_odds_of_error(logits, labels), gamma), 0)


def sigmoid_focal_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | Float[ArrayLike, "*batch h w classes"] | None = None,
    gamma: ScalarLike = 2.0,
    alpha: ScalarLike | None = None,
) -> Float[Array, "*batch h w"]:
    """Focal loss where a pixel may have several classes, or none.

    Each class is a question of its own, answered by the sigmoid of its logit. An entry whose label has
    probability p costs -a * (1 - p)**gamma * log(p), where a is alpha for labels of 1 and 1 - alpha for
    labels of 0, and a pixel costs the mean over its entries that are not void.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: 1 where the pixel has the class, 0 where it has not; any other number is void: the value
            and the gradient of the entry are 0.
        weights: what each pixel counts, or, with an axis of classes, each entry; multiplies the costs
            before the mean, which divides by the number of entries. Ignored at void entries.
        gamma: focusing exponent, at least 0; 0 is binary cross entropy. May be traced.
        alpha: factor of labels of 1, in [0, 1], the others having 1 - alpha; None is 1 for all. May be
            traced. The paper found .25 to go with a gamma of 2.

    Returns:
        Cost of each pixel in nats, 0 where all entries are void; float32, or float64 for float64 logits.
        Its mean is `masked_mean(cost, valid_mask(labels, 2).any(-1))`. Gamma and alpha are constants to
        differentiation.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, no class, gamma below 0, or alpha outside [0, 1].

    References:
        Lin et al. 2017, arXiv:1708.02002, eqs. 4 and 5.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0], [-2.0]]], np.float32), np.array([[[1], [1]]])
    >>> print(np.asarray(sigmoid_focal_loss(logits, labels)).round(3))  # right, wrong
    [[0.002 1.65 ]]
    """
    logits, labels, weights = _sigmoid.checked(logits, labels, weights)
    gamma = constant("gamma", gamma, lambda g: g >= 0, "at least 0", logits.dtype)
    if alpha is not None:
        alpha = constant("alpha", alpha, lambda a: 0 <= a <= 1, "in [0, 1]", logits.dtype)
        weights *= jnp.where(labels == 1, alpha, 1 - alpha)
    return _sigmoid.mean_of_entries(_focal, gamma, logits, labels, weights)


@jax.custom_jvp
def _focal(odds: Float[Array, "*shape"], gamma: Float[Array, ""]) -> Float[Array, "*shape"]:
    """-(1 - p)**gamma * log(p) from log((1 - p) / p).

    Either factor is a function of these odds that keeps its digits, and its gradient, where p is 0 or 1;
    (1 - p)**gamma with gamma below 1 would have an infinite one.
    """
    return jnp.exp(-gamma * surprise(-odds)) * surprise(odds)


@_focal.defjvp
def _focal_jvp(primals, tangents):
    odds, gamma = primals
    p_by_e = right_by_wrong(odds)
    # From other functions than the value, or a compiler keeps what both have in common.
    minus_log_e = jnp.log1p(p_by_e)
    minus_log_p = jax.nn.relu(odds + minus_log_e)
    slope = jnp.exp(-gamma * minus_log_e) * (1 + gamma * minus_log_p * p_by_e) / (1 + p_by_e)
    return _focal(odds, gamma), slope * tangents[0]
