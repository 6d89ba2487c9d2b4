"""Truncated cross entropy of every class at every pixel."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, ScalarLike

from balanced_jax._labels import one_hot
from balanced_jax.losses._softmax import checked, log_odds_of_error, own_and_others
from balanced_jax.losses.truncated import Joints, joints_at, of_log_odds, slope_at


def all_entries_truncated_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Truncated cross entropy of every class at every pixel, right or wrong.

    The other reading of the paper's equation 3: with softmax probabilities p, the error of the labelled
    class is 1 - p and that of any other class p, and a pixel costs the sum of `truncated_cross_entropy` of
    all its errors. One confident wrong class is thus paid for beside the missed label; with two classes
    the cost is twice that of `softmax_truncated_cross_entropy`.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts; multiplies the map. Ignored at void pixels.
        eps_inf: up to this error an entry is easy, in [0, 1). May be traced.
        eps_sup: from this error on an entry is hard, in (0, 1] and above `eps_inf`. May be traced.

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
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 3 and 5 to 7, with the errors of all classes.

    >>> import numpy as np
    >>> logits, labels = np.array([[[0.0, 3.0, 0.0], [1.0, 1.0, 1.0]]], np.float32), np.array([[0, 0]])
    >>> print(np.asarray(all_entries_truncated_cross_entropy(logits, labels)).round(3))  # 1 instead, no idea
    [[3.242 0.84 ]]
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    joints = joints_at(eps_inf, eps_sup, logits.dtype)
    if logits.shape[-1] == 2:  # both errors of a pixel are the same
        cost = 2 * of_log_odds(log_odds_of_error(logits, labels), joints)
    else:
        cost = _of_all_entries(logits, labels, joints)
    return jnp.where(valid, weights * cost, 0)


class _Likeliest(NamedTuple):
    """The class of each pixel with the largest logit, the one entry whose error may round to 1."""

    label: Integer[Array, "*batch h w"]
    logit: Float[Array, "*batch h w"]
    next_logit: Float[Array, "*batch h w"]
    """The largest of the others'."""
    log_sum: Float[Array, "*batch h w"]
    """How far logsumexp of the others exceeds that."""

    @property
    def odds(self) -> Float[Array, "*batch h w"]:
        """Log odds that a pixel has another class."""
        return self.log_sum + (self.next_logit - self.logit)


def _likeliest(logits: Float[Array, "*batch h w classes"]) -> _Likeliest:
    label = jnp.argmax(logits, axis=-1)
    return _Likeliest(label, *own_and_others(logits, label))


def _odds_against(
    logit: Float[Array, "*shape"], is_likeliest: Bool[Array, "*shape"], likeliest: _Likeliest
) -> Float[Array, "*shape"]:
    """Log odds that a pixel does not have the class of this logit.

    What is left of a softmax's sum without this class holds the 1 of the likeliest, and the difference keeps
    its digits; for the likeliest itself it would not.
    """
    below = logit - likeliest.logit
    others = 1 + jnp.exp(likeliest.odds) - jnp.exp(below)
    return jnp.where(is_likeliest, likeliest.odds, jnp.log(others) - below)


def _slope_against(
    against: Float[Array, "*shape"], own: Bool[Array, "*shape"], at: Joints
) -> Float[Array, "*shape"]:
    """Derivative of an entry's cost with respect to the log odds against its class."""
    return jnp.where(own, slope_at(against, at), -slope_at(-against, at))


@jax.custom_vjp
def _of_all_entries(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"], at: Joints
) -> Float[Array, "*batch h w"]:
    return _of_all_entries_forward(logits, labels, at)[0]


def _of_all_entries_forward(logits, labels, at):
    likeliest = _likeliest(logits)

    # One class after another: all at once, a CPU keeps three numbers of each entry in memory.
    def add(sums, k):
        cost, slopes = sums
        against = _odds_against(
            jax.lax.dynamic_index_in_dim(logits, k, -1, keepdims=False), likeliest.label == k, likeliest
        )
        own = labels == k
        slope = _slope_against(against, own, at) / jax.nn.sigmoid(against)
        return (
            cost + of_log_odds(jnp.where(own, against, -against), at),
            slopes + jnp.where(likeliest.label == k, 0, slope),
        ), None

    nothing = jnp.zeros_like(likeliest.odds)
    (cost, slopes), _ = jax.lax.scan(add, (nothing, nothing), jnp.arange(logits.shape[-1]))
    return cost, (logits, labels, at, likeliest, slopes)


def _of_all_entries_backward(residuals, cotangent):
    logits, labels, at, likeliest, slopes = residuals
    is_likeliest = one_hot(likeliest.label, logits.shape[-1])
    slope_of_likeliest = _slope_against(likeliest.odds, labels == likeliest.label, at)[..., None]
    likeliest = jax.tree.map(lambda x: x[..., None], likeliest)
    against = _odds_against(logits, is_likeliest, likeliest)
    slope = _slope_against(against, one_hot(labels, logits.shape[-1]), at)
    p = jax.nn.sigmoid(-against)
    # The log odds against a class k fall with its logit, and rise with every other by its share in what is
    # left, p / (1 - p_k), which for the likeliest class is taken from the logits.
    share = jnp.exp((logits - likeliest.next_logit) - likeliest.log_sum)
    others = slopes[..., None] - jnp.where(is_likeliest, 0, slope / jax.nn.sigmoid(against))
    of_likeliest = jnp.where(is_likeliest, 0, share * slope_of_likeliest)
    return cotangent[..., None] * (p * others + of_likeliest - slope), None, None


_of_all_entries.defvjp(_of_all_entries_forward, _of_all_entries_backward)
