"""Truncated cross entropy of every class at every pixel."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, ScalarLike

from balanced_jax._arguments import PixelWeights
from balanced_jax._labels import one_hot
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error
from balanced_jax.losses._weights import weigh
from balanced_jax.losses.truncated import log_odds_thresholds, truncated_of_log_odds


def all_entries_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
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
        against = _log_odds_against(logits, valid)
        log_odds = jnp.where(one_hot(labels, logits.shape[-1]), against, -against)
        cost = jnp.sum(truncated_of_log_odds(log_odds, thresholds), axis=-1)
    return weigh(cost, weights)


def _log_odds_against(
    logits: Float[Array, "*batch h w classes"], valid: Bool[Array, "*batch h w"]
) -> Float[Array, "*batch h w classes"]:
    """Return, for each class, the log odds that the pixel has another one.

    Relative to the largest logit, its class adds 1 to the sum of exponentials, so subtracting the exponential
    of another class cancels no digits. Subtracting the 1 would, so the class of the largest logit has a
    formula of its own.
    """
    predicted = jnp.where(valid, jnp.argmax(logits, axis=-1), -1)
    is_predicted = one_hot(predicted, logits.shape[-1])
    against_predicted = log_odds_of_error(logits, predicted)[..., None]
    largest = jnp.sum(logits, axis=-1, where=is_predicted, keepdims=True)
    difference = jnp.where(is_predicted | ~valid[..., None], jnp.finfo(logits.dtype).min, logits - largest)
    others = 1 + jnp.exp(against_predicted) - jnp.exp(difference)
    return jnp.where(is_predicted, against_predicted, jnp.log(others) - difference)
