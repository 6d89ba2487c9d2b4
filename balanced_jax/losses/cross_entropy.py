"""The loss that all others are compared with."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer

from balanced_jax.losses._log_odds import surprise
from balanced_jax.losses._softmax import checked, log_odds_of_error


def softmax_cross_entropy(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
) -> Float[Array, "*batch h w"]:
    """Surprise at the label of each pixel.

    A pixel whose label has softmax probability p costs -log(p).

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts; multiplies the map. Ignored at void pixels.

    Returns:
        Cost of each pixel in nats, at least 0, never reduced; float32, or float64 for float64 logits.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, or fewer than two classes.

    >>> import numpy as np
    >>> labels = np.array([[0, 1, 255]], np.uint8)  # 255 is void
    >>> print(np.asarray(softmax_cross_entropy(np.zeros((1, 3, 4), np.float32), labels)).round(2))
    [[1.39 1.39 0.  ]]
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    return jnp.where(valid, weights * surprise(log_odds_of_error(logits, labels)), 0)
