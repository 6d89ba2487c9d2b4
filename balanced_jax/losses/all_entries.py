"""Truncated cross entropy of every class at every pixel."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, ScalarLike

from balanced_jax._labels import one_hot
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error, split_logits
from balanced_jax.losses.truncated import (
    Thresholds,
    log_odds_thresholds,
    truncated_of_log_odds,
    truncated_slope,
)


def all_entries_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Compute the sum over classes of `truncated_cross_entropy`.

    The other reading of equation 3 of the paper; `softmax_truncated_cross_entropy` takes the labeled class
    alone. With softmax probabilities p, the labeled class has the error 1 - p and every other class the error
    p. A confidently predicted wrong class costs in addition to the missed label; with two classes the cost is
    twice that of `softmax_truncated_cross_entropy`.

    Args:
        logits, labels, weights, eps_inf, eps_sup: see `balanced_jax.losses` (result and errors, too).

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 3 and 5 to 7, with the errors of all classes.

    >>> import numpy as np
    >>> logits, labels = np.array([[[0.0, 3.0, 0.0], [1.0, 1.0, 1.0]]], np.float32), np.array([[0, 0]])
    >>> print(np.asarray(all_entries_truncated_cross_entropy(logits, labels)).round(3))  # wrong, uncertain
    [[3.242 0.84 ]]
    """
    logits, labels, valid, weights = check_arguments(logits, labels, weights)
    thresholds = log_odds_thresholds(eps_inf, eps_sup, logits.dtype)
    if logits.shape[-1] == 2:  # both classes of a pixel have the same error
        cost = 2 * truncated_of_log_odds(log_odds_of_error(logits, labels), thresholds)
    else:
        cost = _sum_over_classes(logits, labels, thresholds)
    return jnp.where(valid, weights * cost, 0)


class _Prediction(NamedTuple):
    """The class with the largest logit at each pixel, the only one whose probability may round to 1."""

    label: Integer[Array, "*batch h w"]
    logit: Float[Array, "*batch h w"]
    max_other: Float[Array, "*batch h w"]
    """The largest logit of the other classes."""
    log_sum: Float[Array, "*batch h w"]
    """logsumexp of the other logits minus `max_other`."""

    @property
    def log_odds_against(self) -> Float[Array, "*batch h w"]:
        """Log odds that the pixel has another class."""
        return self.log_sum + (self.max_other - self.logit)


def _predict(logits: Float[Array, "*batch h w classes"]) -> _Prediction:
    label = jnp.argmax(logits, axis=-1)
    return _Prediction(label, *split_logits(logits, label))


def _log_odds_against(
    logit: Float[Array, "*shape"], is_predicted: Bool[Array, "*shape"], prediction: _Prediction
) -> Float[Array, "*shape"]:
    """Return the log odds that the pixel does not have the class of this logit.

    Relative to the largest logit, the predicted class adds 1 to the sum of exponentials, so subtracting the
    exponential of another class cancels no digits. Subtracting the 1 would: the predicted class has a formula
    of its own.
    """
    difference = logit - prediction.logit
    others = 1 + jnp.exp(prediction.log_odds_against) - jnp.exp(difference)
    return jnp.where(is_predicted, prediction.log_odds_against, jnp.log(others) - difference)


def _entry_slope(
    log_odds_against: Float[Array, "*shape"], is_label: Bool[Array, "*shape"], thresholds: Thresholds
) -> Float[Array, "*shape"]:
    """Return the derivative of an entry's cost with respect to the log odds against its class."""
    slope_of_label = truncated_slope(log_odds_against, thresholds)
    return jnp.where(is_label, slope_of_label, -truncated_slope(-log_odds_against, thresholds))


@jax.custom_vjp
def _sum_over_classes(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"], thresholds: Thresholds
) -> Float[Array, "*batch h w"]:
    return _sum_over_classes_forward(logits, labels, thresholds)[0]


def _sum_over_classes_forward(logits, labels, thresholds):
    prediction = _predict(logits)

    # A loop over classes: for all classes at once, XLA:CPU stores three arrays of the size of the logits.
    def add_class(sums, k):
        cost, slopes = sums
        logit, is_predicted = (
            jax.lax.dynamic_index_in_dim(logits, k, -1, keepdims=False),
            prediction.label == k,
        )
        against = _log_odds_against(logit, is_predicted, prediction)
        is_label = labels == k
        slope = _entry_slope(against, is_label, thresholds) / jax.nn.sigmoid(against)
        return (
            cost + truncated_of_log_odds(jnp.where(is_label, against, -against), thresholds),
            slopes + jnp.where(is_predicted, 0, slope),
        ), None

    zeros = jnp.zeros_like(prediction.log_odds_against)
    (cost, slopes), _ = jax.lax.scan(add_class, (zeros, zeros), jnp.arange(logits.shape[-1]))
    return cost, (logits, labels, thresholds, prediction, slopes)


def _sum_over_classes_backward(residuals, cotangent):
    logits, labels, thresholds, prediction, slopes = residuals
    is_predicted = one_hot(prediction.label, logits.shape[-1])
    predicted_slope = _entry_slope(prediction.log_odds_against, labels == prediction.label, thresholds)
    prediction = jax.tree.map(lambda x: x[..., None], prediction)
    against = _log_odds_against(logits, is_predicted, prediction)
    slope = _entry_slope(against, one_hot(labels, logits.shape[-1]), thresholds)
    p = jax.nn.sigmoid(-against)
    # The log odds against class k have derivative -1 in its own logit and p / (1 - p_k) in any other; for the
    # predicted class, where 1 - p_k cancels, that quotient is a softmax over the other logits.
    p_other = jnp.exp((logits - prediction.max_other) - prediction.log_sum)
    others = slopes[..., None] - jnp.where(is_predicted, 0, slope / jax.nn.sigmoid(against))
    through_predicted = jnp.where(is_predicted, 0, p_other * predicted_slope[..., None])
    return cotangent[..., None] * (p * others + through_predicted - slope), None, None


_sum_over_classes.defvjp(_sum_over_classes_forward, _sum_over_classes_backward)
