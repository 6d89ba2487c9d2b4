"""Softmax cross entropy."""

from jaxtyping import Array, ArrayLike, Float, Integer

from balanced_jax._arguments import PixelWeights
from balanced_jax.losses._log_odds import softplus
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error
from balanced_jax.losses._weights import weigh


def softmax_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
) -> Float[Array, "*batch h w"]:
    """Compute cross entropy, -log(p) for a label of softmax probability p.

    Args:
        logits, labels, weights: see `balanced_jax.losses` (result and errors, too).

    >>> import numpy as np
    >>> labels = np.array([[0, 1, 255]], np.uint8)  # 255 is void
    >>> print(np.asarray(softmax_cross_entropy(np.zeros((1, 3, 4), np.float32), labels)).round(2))
    [[1.39 1.39 0.  ]]
    """
    logits, labels, _, weights = check_arguments(logits, labels, weights)
    return weigh(softplus(log_odds_of_error(logits, labels)), weights)
