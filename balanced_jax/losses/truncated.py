"""Cross entropy cut off where a pixel is easy and made linear where it is hard."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Integer, ScalarLike

from balanced_jax._pixels import as_float, constant, known, one_hot
from balanced_jax.losses._softmax import checked, negative_log_likelihood


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
    return _of_error(error, *thresholds(eps_inf, eps_sup, error.dtype))


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
    inf, sup = thresholds(eps_inf, eps_sup, logits.dtype)
    cost = _of_logits(logits, labels, surprise_at(eps_inf, inf), surprise_at(eps_sup, sup))
    return jnp.where(valid, weights * cost, 0)


def thresholds(
    eps_inf: ScalarLike, eps_sup: ScalarLike, dtype: DTypeLike
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    inf = constant("eps_inf", eps_inf, lambda e: 0 <= e < 1, "in [0, 1)", dtype)
    sup = constant("eps_sup", eps_sup, lambda e: 0 < e <= 1, "in (0, 1]", dtype)
    lower, upper = known(eps_inf), known(eps_sup)
    if lower is not None and upper is not None and lower >= upper:
        raise ValueError(f"eps_inf must be below eps_sup, got eps_inf={lower} and eps_sup={upper}")
    return inf, sup


def surprise_at(eps: ScalarLike, traced: Float[Array, ""]) -> Float[Array, ""]:
    """-log(1 - eps), from the number itself where it is known: near 1 float32 would lose it."""
    number = known(eps)
    if number is None:
        return -jnp.log1p(-traced)
    return jnp.asarray(-math.log1p(-number) if number < 1 else math.inf, traced.dtype)


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
def _of_logits(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    t_inf: Float[Array, ""],
    t_sup: Float[Array, ""],
) -> Float[Array, "*batch h w"]:
    nll = negative_log_likelihood(jax.nn.log_softmax(logits), labels)
    # (eps - eps_sup) / (1 - eps_sup) is 1 - exp(t_sup - nll): no division, and 0 where t_sup is infinite.
    hard = -jnp.expm1(-jax.nn.relu(nll - t_sup))
    return jax.nn.relu(jnp.minimum(nll, t_sup) - t_inf + hard)


def _of_logits_forward(logits, labels, t_inf, t_sup):
    return _of_logits(logits, labels, t_inf, t_sup), (logits, labels, t_inf, t_sup)


def _of_logits_backward(residuals, cotangent):
    logits, labels, t_inf, t_sup = residuals
    log_p = jax.nn.log_softmax(logits)
    nll = negative_log_likelihood(log_p, labels)
    pull = jnp.where(nll < t_inf, 0, cotangent * jnp.exp(-jax.nn.relu(nll - t_sup)))
    return pull[..., None] * (jnp.exp(log_p) - one_hot(labels, logits.shape[-1])), None, None, None


_of_logits.defvjp(_of_logits_forward, _of_logits_backward)
