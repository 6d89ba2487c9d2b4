"""Truncated cross entropy: 0 for easy pixels, linear in the error for hard pixels."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Integer, ScalarLike

from balanced_jax._arguments import EntryWeights, PixelWeights, as_constant, as_float, concrete_value
from balanced_jax.losses import _sigmoid
from balanced_jax.losses._log_odds import inverse_odds
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error
from balanced_jax.losses._weights import weigh


def truncated_cross_entropy(
    error: Float[ArrayLike, "*shape"],
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*shape"]:
    """Compute truncated cross entropy as a function of the point error.

    With t(e) = -log(1 - e), an error below `eps_inf` costs 0, an error up to `eps_sup` costs
    t(e) - t(eps_inf), and beyond `eps_sup` the cost continues along the tangent. Both thresholds belong to
    the middle branch: at `eps_inf` the derivative is 1 / (1 - eps_inf), at `eps_sup` it is continuous.

    Args:
        error: one minus the probability of the label, in [0, 1].
        eps_inf, eps_sup: see `balanced_jax.losses` (derivatives, too).

    Returns:
        Cost of each error in nats, at least 0; float32, or float64 for float64 errors. Infinite at an
        error of 1 if `eps_sup` is 1. Thresholds of 0 and 1 make the cost -log(1 - error).

    Raises:
        TypeError: error is not floating point.
        ValueError: a threshold is out of its range, or eps_inf is not below eps_sup.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 5 to 7.

    >>> import numpy as np
    >>> print(np.asarray(truncated_cross_entropy(np.array([0.2, 0.5, 1.0], np.float32))).round(3))
    [0.    0.336 1.847]
    """
    error = as_float("error", error)
    return _truncated_of_error(error, *_check_thresholds(eps_inf, eps_sup, error.dtype))


def softmax_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Compute `truncated_cross_entropy` of one minus the label's softmax probability p.

    Computed from log odds, without the rounding of 1 - p. The gradient at the logits is 0 for easy pixels,
    that of cross entropy between the thresholds, and p / (1 - eps_sup) times that of cross entropy for hard
    pixels: it vanishes for confidently wrong pixels, so a network that predicts background everywhere hardly
    recovers. Begin with thresholds of 0 and 1, which give cross entropy, and narrow them over the run.

    Args:
        logits, labels, weights, eps_inf, eps_sup: see `balanced_jax.losses` (result and errors, too).

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 3 and 5 to 7, with the error of the labeled class.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0, 0.0], [0.0, 0.0]]], np.float32), np.array([[0, 1]])
    >>> print(np.asarray(softmax_truncated_cross_entropy(logits, labels)).round(3))  # easy, uncertain
    [[0.    0.336]]
    """
    logits, labels, _, weights = check_arguments(logits, labels, weights)
    thresholds = log_odds_thresholds(eps_inf, eps_sup, logits.dtype)
    return weigh(truncated_of_log_odds(log_odds_of_error(logits, labels), thresholds), weights)


def sigmoid_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    *,
    weights: PixelWeights | EntryWeights | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Compute truncated cross entropy for pixels that may have several classes, or none.

    An entry costs `truncated_cross_entropy` of one minus the sigmoid probability of its label, a pixel the
    mean over its non-void entries. Thresholds of 0 and 1 give binary cross entropy.

    Args:
        logits, labels, weights, eps_inf, eps_sup: see `balanced_jax.losses` (result and errors, too).

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 3 and 5 to 7.

    >>> import numpy as np
    >>> logits = np.array([[[2.0, 0.0], [0.0, 0.0]]], np.float32)
    >>> labels = np.array([[[1, 1], [0, 255]]], np.uint8)  # both classes; not the first, the second unknown
    >>> print(np.asarray(sigmoid_truncated_cross_entropy(logits, labels)).round(3))
    [[0.168 0.336]]
    """
    logits, labels, weights = _sigmoid.check_arguments(logits, labels, weights)
    thresholds = log_odds_thresholds(eps_inf, eps_sup, logits.dtype)
    return _sigmoid.mean_over_entries(truncated_of_log_odds, thresholds, logits, labels, weights)


class Thresholds(NamedTuple):
    """Thresholds of the truncated cross entropy for errors given by their log odds."""

    inf: Float[Array, ""]
    """Log odds of eps_inf; minus infinity for 0: no pixel is easy."""
    sup: Float[Array, ""]
    """Log odds of eps_sup; infinity for 1: no pixel is hard."""
    offset: Float[Array, ""]
    """-log(1 - eps_inf), subtracted from the cross entropy of every pixel that is not easy."""
    slope: Float[Array, ""]
    """1 / (1 - eps_sup), derivative of the hard branch in the error; 1 if eps_sup is 1: no pixel is hard."""


def log_odds_thresholds(eps_inf: ScalarLike, eps_sup: ScalarLike, dtype: DTypeLike) -> Thresholds:
    """Convert thresholds of the error to log odds; raise ValueError for those out of range or order."""
    inf, sup = _check_thresholds(eps_inf, eps_sup, dtype)
    complement_inf, complement_sup = _complement(eps_inf, inf), _complement(eps_sup, sup)
    return Thresholds(
        inf=jnp.log(inf) - jnp.log(complement_inf),
        sup=jnp.log(sup) - jnp.log(complement_sup),
        offset=-jnp.log(complement_inf),
        slope=1 / jnp.where(complement_sup > 0, complement_sup, 1),
    )


def _complement(eps: ScalarLike, array: Float[Array, ""]) -> Float[Array, ""]:
    """Return 1 - eps, from the Python number where it is concrete: near 1, float32 loses its digits."""
    number = concrete_value(eps)
    return 1 - array if number is None else jnp.asarray(1 - number, array.dtype)


def _check_thresholds(
    eps_inf: ScalarLike, eps_sup: ScalarLike, dtype: DTypeLike
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return both thresholds as constants; raise ValueError for those out of range or order."""
    inf = as_constant("eps_inf", eps_inf, lambda e: 0 <= e < 1, "in [0, 1)", dtype)
    sup = as_constant("eps_sup", eps_sup, lambda e: 0 < e <= 1, "in (0, 1]", dtype)
    lower, upper = concrete_value(eps_inf), concrete_value(eps_sup)
    if lower is not None and upper is not None and lower >= upper:
        raise ValueError(f"eps_inf must be below eps_sup, got eps_inf={lower} and eps_sup={upper}")
    return inf, sup


@jax.custom_vjp
def _truncated_of_error(
    error: Float[Array, "*shape"], eps_inf: Float[Array, ""], eps_sup: Float[Array, ""]
) -> Float[Array, "*shape"]:
    middle = jnp.log1p(-eps_inf) - jnp.log1p(-jnp.minimum(error, eps_sup))
    slope = 1 / jnp.where(eps_sup < 1, 1 - eps_sup, 1)  # no error exceeds an eps_sup of 1
    return jax.nn.relu(middle + slope * jax.nn.relu(error - eps_sup))


def _truncated_of_error_forward(error, eps_inf, eps_sup):
    return _truncated_of_error(error, eps_inf, eps_sup), (error, eps_inf, eps_sup)


def _truncated_of_error_backward(residuals, cotangent):
    error, eps_inf, eps_sup = residuals
    slope = 1 / (1 - jnp.clip(error, eps_inf, eps_sup))
    return jnp.where(error < eps_inf, 0, cotangent * slope), None, None


_truncated_of_error.defvjp(_truncated_of_error_forward, _truncated_of_error_backward)


@jax.custom_jvp
def truncated_of_log_odds(log_odds: Float[Array, "*shape"], thresholds: Thresholds) -> Float[Array, "*shape"]:
    """Return `truncated_cross_entropy` of errors given by their log odds, which lose no digits."""
    hard = 1 + jnp.log(thresholds.slope) - thresholds.slope * jax.nn.sigmoid(-log_odds)
    cost = jnp.where(log_odds > thresholds.sup, hard, jax.nn.softplus(log_odds)) - thresholds.offset
    return jnp.where(log_odds < thresholds.inf, 0, jax.nn.relu(cost))


@truncated_of_log_odds.defjvp
def _truncated_of_log_odds_jvp(primals, tangents):
    return truncated_of_log_odds(*primals), truncated_slope(*primals) * tangents[0]


def truncated_slope(log_odds: Float[Array, "*shape"], thresholds: Thresholds) -> Float[Array, "*shape"]:
    """Return the derivative of `truncated_of_log_odds` with respect to the log odds."""
    slope = jnp.where(log_odds > thresholds.sup, thresholds.slope * jax.nn.sigmoid(-log_odds), 1)
    return jnp.where(log_odds < thresholds.inf, 0, slope) / (1 + inverse_odds(log_odds))
