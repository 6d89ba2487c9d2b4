"""Cross entropy cut off where a pixel is easy and made linear where it is hard."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Integer, ScalarLike

from balanced_jax._arguments import as_float, constant, known
from balanced_jax.losses import _sigmoid
from balanced_jax.losses._log_odds import right_by_wrong
from balanced_jax.losses._softmax import checked, log_odds_of_error


def truncated_cross_entropy(
    error: Float[ArrayLike, "*shape"],
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*shape"]:
    """Truncated cross entropy as a function of the point error.

    With t(e) = -log(1 - e), an error below `eps_inf` costs 0, one up to `eps_sup` costs
    t(e) - t(eps_inf), and beyond that the cost grows along the tangent. Both thresholds belong to the
    middle: at `eps_inf` the derivative is 1 / (1 - eps_inf), at `eps_sup` it is continuous.

    Args:
        error: one minus the probability of the label, in [0, 1].
        eps_inf: up to here a pixel is easy, in [0, 1). May be traced.
        eps_sup: from here on a pixel is hard, in (0, 1] and above `eps_inf`. May be traced.

    Returns:
        Cost of each error in nats, at least 0; float32, or float64 for float64 errors. Infinite at an
        error of 1 if `eps_sup` is 1, which with an `eps_inf` of 0 makes this -log(1 - error).

    Raises:
        TypeError: error is not floating point.
        ValueError: a threshold out of its range, or eps_inf not below eps_sup.

    The thresholds are constants to differentiation. The gradient is a `jax.custom_vjp`: reverse mode works,
    repeatedly too, forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) raises a TypeError; take
    `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 5 to 7.

    >>> import numpy as np
    >>> print(np.asarray(truncated_cross_entropy(np.array([0.2, 0.5, 1.0], np.float32))).round(3))
    [0.    0.336 1.847]
    """
    error = as_float("error", error)
    return _of_error(error, *_thresholds(eps_inf, eps_sup, error.dtype))


def softmax_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Cross entropy that ignores easy pixels and does not chase hard ones.

    `truncated_cross_entropy` of one minus the label's softmax probability p, without the rounding of that
    difference. The gradient at the logits is 0 for easy pixels, that of cross entropy in the middle, and
    that of cross entropy times p / (1 - eps_sup) for hard ones: it fades for pixels that are confidently
    wrong. A network that has settled on background is therefore hardly pulled back; begin a run with
    thresholds of 0 and 1, which make plain cross entropy, and close them as it goes.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts; multiplies the map. Ignored at void pixels.
        eps_inf: up to this error a pixel is easy, in [0, 1). May be traced.
        eps_sup: from this error on a pixel is hard, in (0, 1] and above `eps_inf`. May be traced.

    Returns:
        Cost of each pixel in nats, at least 0, never reduced; float32, or float64 for float64 logits.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, a threshold out of its range, or
            eps_inf not below eps_sup.

    The thresholds are constants to differentiation. The gradient is a `jax.custom_vjp`: reverse mode works,
    repeatedly too, forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) raises a TypeError; take
    `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 3 and 5 to 7, with the error of the labelled class.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0, 0.0], [0.0, 0.0]]], np.float32), np.array([[0, 1]])
    >>> print(np.asarray(softmax_truncated_cross_entropy(logits, labels)).round(3))  # easy, uncertain
    [[0.    0.336]]
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    joints = joints_at(eps_inf, eps_sup, logits.dtype)
    return jnp.where(valid, weights * of_log_odds(log_odds_of_error(logits, labels), joints), 0)


def sigmoid_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | Float[ArrayLike, "*batch h w classes"] | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Truncated cross entropy where a pixel may have several classes, or none.

    Each class is a question of its own, answered by the sigmoid of its logit. The cost of an entry is
    `truncated_cross_entropy` of one minus the probability of its label, and a pixel costs the mean over
    its entries that are not void: thresholds of 0 and 1 make it binary cross entropy.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: 1 where the pixel has the class, 0 where it has not; any other number is void: the value
            and the gradient of the entry are 0.
        weights: what each pixel counts, or, with an axis of classes, each entry; multiplies the costs
            before the mean, which divides by the number of entries. Ignored at void entries.
        eps_inf: up to this error an entry is easy, in [0, 1). May be traced.
        eps_sup: from this error on an entry is hard, in (0, 1] and above `eps_inf`. May be traced.

    Returns:
        Cost of each pixel in nats, at least 0, 0 where all entries are void; float32, or float64 for
        float64 logits. Its mean is `masked_mean(cost, valid_mask(labels, 2).any(-1))`.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, no class, a threshold out of its range, or eps_inf not below
            eps_sup.

    The thresholds are constants to differentiation. The gradient is a `jax.custom_vjp`: reverse mode works,
    repeatedly too, forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) raises a TypeError; take
    `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 3 and 5 to 7.

    >>> import numpy as np
    >>> logits = np.array([[[2.0, 0.0], [0.0, 0.0]]], np.float32)
    >>> labels = np.array([[[1, 1], [0, 255]]], np.uint8)  # both classes; not the first, the second unknown
    >>> print(np.asarray(sigmoid_truncated_cross_entropy(logits, labels)).round(3))
    [[0.168 0.336]]
    """
    logits, labels, weights = _sigmoid.checked(logits, labels, weights)
    joints = joints_at(eps_inf, eps_sup, logits.dtype)
    return _sigmoid.mean_of_entries(of_log_odds, joints, logits, labels, weights)


class Joints(NamedTuple):
    """Where the three branches meet, for errors that are given by their log odds."""

    inf: Float[Array, ""]
    """Log odds of eps_inf; minus infinity for 0: nothing is easy."""
    sup: Float[Array, ""]
    """Log odds of eps_sup; infinity for 1: nothing is hard."""
    discount: Float[Array, ""]
    """-log(1 - eps_inf), what every critical pixel is spared."""
    slope: Float[Array, ""]
    """1 / (1 - eps_sup), of the hard branch over the error; finite where there is none."""


def joints_at(eps_inf: ScalarLike, eps_sup: ScalarLike, dtype: DTypeLike) -> Joints:
    """Where the branches meet for two thresholds of the error.

    Raises:
        ValueError: a threshold out of its range, or eps_inf not below eps_sup.
    """
    inf, sup = _thresholds(eps_inf, eps_sup, dtype)
    above_inf, above_sup = _complement(eps_inf, inf), _complement(eps_sup, sup)
    return Joints(
        inf=jnp.log(inf) - jnp.log(above_inf),
        sup=jnp.log(sup) - jnp.log(above_sup),
        discount=-jnp.log(above_inf),
        slope=1 / jnp.where(above_sup > 0, above_sup, 1),
    )


def _complement(eps: ScalarLike, traced: Float[Array, ""]) -> Float[Array, ""]:
    """1 - eps, from the number itself where it is known: near 1 float32 would lose it."""
    number = known(eps)
    return 1 - traced if number is None else jnp.asarray(1 - number, traced.dtype)


def _thresholds(
    eps_inf: ScalarLike, eps_sup: ScalarLike, dtype: DTypeLike
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Both numbers, in range and in order, as constants to differentiation."""
    inf = constant("eps_inf", eps_inf, lambda e: 0 <= e < 1, "in [0, 1)", dtype)
    sup = constant("eps_sup", eps_sup, lambda e: 0 < e <= 1, "in (0, 1]", dtype)
    lower, upper = known(eps_inf), known(eps_sup)
    if lower is not None and upper is not None and lower >= upper:
        raise ValueError(f"eps_inf must be below eps_sup, got eps_inf={lower} and eps_sup={upper}")
    return inf, sup


@jax.custom_vjp
def _of_error(
    error: Float[Array, "*shape"], eps_inf: Float[Array, ""], eps_sup: Float[Array, ""]
) -> Float[Array, "*shape"]:
    middle = jnp.log1p(-eps_inf) - jnp.log1p(-jnp.minimum(error, eps_sup))
    slope = 1 / jnp.where(eps_sup < 1, 1 - eps_sup, 1)  # at eps_sup = 1 nothing lies beyond
    return jax.nn.relu(middle + slope * jax.nn.relu(error - eps_sup))


def _of_error_forward(error, eps_inf, eps_sup):
    return _of_error(error, eps_inf, eps_sup), (error, eps_inf, eps_sup)


def _of_error_backward(residuals, cotangent):
    error, eps_inf, eps_sup = residuals
    slope = 1 / (1 - jnp.clip(error, eps_inf, eps_sup))
    return jnp.where(error < eps_inf, 0, cotangent * slope), None, None


_of_error.defvjp(_of_error_forward, _of_error_backward)


@jax.custom_vjp
def of_log_odds(odds: Float[Array, "*shape"], at: Joints) -> Float[Array, "*shape"]:
    """The cost of an error by its log odds: the three branches, without the rounding of the error."""
    rarer = jnp.exp(-jnp.abs(odds))  # right by wrong, or wrong by right, whichever is below 1
    surprise = jax.nn.relu(odds) + jnp.log1p(rarer)
    right = jnp.where(odds > 0, rarer, 1) / (1 + rarer)
    hard = 1 + jnp.log(at.slope) - at.slope * right
    return jnp.where(odds < at.inf, 0, jax.nn.relu(jnp.where(odds > at.sup, hard, surprise) - at.discount))


def _of_log_odds_forward(odds, at):
    return of_log_odds(odds, at), (odds, at)


def _of_log_odds_backward(residuals, cotangent):
    odds, at = residuals
    return cotangent * slope_at(odds, at), None


of_log_odds.defvjp(_of_log_odds_forward, _of_log_odds_backward)


def slope_at(odds: Float[Array, "*shape"], at: Joints) -> Float[Array, "*shape"]:
    """Derivative of `of_log_odds` with respect to the odds."""
    slope = jnp.where(odds > at.sup, at.slope * jax.nn.sigmoid(-odds), 1)
    return jnp.where(odds < at.inf, 0, slope) / (1 + right_by_wrong(odds))
