"""Generalized cross entropy: a loss between cross entropy and the error itself, for wrong labels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import PixelWeights, as_constant
from balanced_jax.losses._log_odds import softplus
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error
from balanced_jax.losses._weights import weigh


def generalized_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    q: ScalarLike = 0.7,
) -> Float[Array, "*batch h w"]:
    """Compute generalized cross entropy, (1 - p**q) / q for a label of softmax probability p.

    The gradient is p**q times that of cross entropy: pixels whose label the network holds for wrong lose
    weight. The cost is at most 1 / q.

    Args:
        logits, labels, weights: see `balanced_jax.losses` (result and errors, too).
        q: in (0, 1]; towards 0 the loss becomes cross entropy, at 1 it is the error 1 - p. May be traced.

    References:
        Zhang and Sabuncu 2018, arXiv:1805.07836, eq. 6.

    >>> import numpy as np
    >>> logits, labels = np.array([[[2.0, 0.0], [0.0, 2.0]]], np.float32), np.array([[0, 0]])
    >>> print(np.asarray(generalized_cross_entropy(logits, labels)).round(3))  # right, wrong
    [[0.121 1.106]]
    """
    logits, labels, _, weights = check_arguments(logits, labels, weights)
    q = as_constant("q", q, lambda q: 0 < q <= 1, "in (0, 1]", logits.dtype)
    log_p = -softplus(log_odds_of_error(logits, labels))
    return weigh(_cost_of_log_p(log_p, q), weights)


@jax.custom_jvp
def _cost_of_log_p(log_p: Float[Array, "*shape"], q: Float[Array, ""]) -> Float[Array, "*shape"]:
    """Return (1 - p**q) / q."""
    return -jnp.expm1(q * log_p) / q


@_cost_of_log_p.defjvp
def _cost_of_log_p_jvp(primals, tangents):
    log_p, q = primals
    # The derivative of expm1 is expm1 + 1, which cancels where p**q is near 0.
    return _cost_of_log_p(log_p, q), -jnp.exp(q * log_p) * tangents[0]
