"""Focal losses: cross entropy times a power of the error."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, Real, ScalarLike

from balanced_jax._arguments import EntryWeights, PixelWeights, as_class_values, as_constant
from balanced_jax._labels import broadcast_by_label
from balanced_jax.losses import _sigmoid
from balanced_jax.losses._log_odds import inverse_odds, softplus
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error
from balanced_jax.losses._weights import weigh


def softmax_focal_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    gamma: ScalarLike = 2.0,
    alpha: Real[ArrayLike, "classes"] | Sequence[ScalarLike] | None = None,
) -> Float[Array, "*batch h w"]:
    """Compute focal loss, -alpha * (1 - p)**gamma * log(p) for a label of softmax probability p.

    Args:
        logits, labels, weights: see `balanced_jax.losses` (result and errors, too).
        gamma: focusing exponent, at least 0; 0 gives cross entropy. May be traced.
        alpha: factor of each class, [classes], at least 0; None is 1 for all. May be traced.

    References:
        Lin et al. 2017, arXiv:1708.02002, eq. 5, with softmax in the place of the sigmoid.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0, 0.0], [0.0, 2.0]]], np.float32), np.array([[0, 0]])
    >>> print(np.asarray(softmax_focal_loss(logits, labels)).round(3))  # right, wrong
    [[0.002 1.65 ]]
    """
    logits, labels, _, weights = check_arguments(logits, labels, weights)
    gamma = as_constant("gamma", gamma, lambda g: g >= 0, "at least 0", logits.dtype)
    if alpha is not None:
        alpha = as_class_values("alpha", alpha, logits.shape[-1], logits.dtype)
        weights *= broadcast_by_label(alpha, labels)
    return weigh(_focal_of_log_odds(log_odds_of_error(logits, labels), gamma), weights)


def sigmoid_focal_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    *,
    weights: PixelWeights | EntryWeights | None = None,
    gamma: ScalarLike = 2.0,
    alpha: ScalarLike | None = None,
) -> Float[Array, "*batch h w"]:
    """Compute focal loss for pixels that may have several classes, or none.

    An entry whose label has sigmoid probability p costs -a * (1 - p)**gamma * log(p), where a is alpha for
    labels of 1 and 1 - alpha for labels of 0; a pixel costs the mean over its non-void entries.

    Args:
        logits, labels, weights: see `balanced_jax.losses` (result and errors, too).
        gamma: focusing exponent, at least 0; 0 gives binary cross entropy. May be traced.
        alpha: factor of labels of 1, in [0, 1], with 1 - alpha for labels of 0; None is 1 for both. May be
            traced. The paper pairs 0.25 with a gamma of 2.

    References:
        Lin et al. 2017, arXiv:1708.02002, eqs. 4 and 5.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0], [-2.0]]], np.float32), np.array([[[1], [1]]])
    >>> print(np.asarray(sigmoid_focal_loss(logits, labels)).round(3))  # right, wrong
    [[0.002 1.65 ]]
    """
    logits, labels, weights = _sigmoid.check_arguments(logits, labels, weights)
    gamma = as_constant("gamma", gamma, lambda g: g >= 0, "at least 0", logits.dtype)
    if alpha is not None:
        alpha = as_constant("alpha", alpha, lambda a: 0 <= a <= 1, "in [0, 1]", logits.dtype)
        weights *= jnp.where(labels == 1, alpha, 1 - alpha)
    return _sigmoid.mean_over_entries(_focal_of_log_odds, gamma, logits, labels, weights)


@jax.custom_jvp
def _focal_of_log_odds(log_odds: Float[Array, "*shape"], gamma: Float[Array, ""]) -> Float[Array, "*shape"]:
    """Return -(1 - p)**gamma * log(p) from the log odds of the error, log((1 - p) / p).

    Both factors and their gradients keep their digits where p is 0 or 1; written as a power of 1 - p, the
    gradient at p = 1 is infinite for gamma below 1.
    """
    return jnp.exp(-gamma * softplus(-log_odds)) * softplus(log_odds)


@_focal_of_log_odds.defjvp
def _focal_of_log_odds_jvp(primals, tangents):
    gamma = primals[1]
    log_odds = jnp.minimum(primals[0], jnp.finfo(primals[0].dtype).max)  # at inf, -p log(p) would be 0 * inf
    p_by_error = inverse_odds(log_odds)
    # Recomputed rather than shared with the primal, so that nothing is stored for the backward pass.
    minus_log_error = jnp.log1p(p_by_error)
    # -log(p) = log odds - log(error), which cancels at small errors. A GPU would store `softplus`, which the
    # primal takes, and move half as many bytes more.
    small_error = jnp.log1p(jnp.exp(jnp.minimum(log_odds, 0)))
    minus_log_p = jnp.where(log_odds < 0, small_error, log_odds + minus_log_error)
    slope = jnp.exp(-gamma * minus_log_error) * (1 + gamma * (minus_log_p * p_by_error)) / (1 + p_by_error)
    return _focal_of_log_odds(log_odds, gamma), slope * tangents[0]
