"""Losses whose targets are probabilities: smoothed labels, votes of several people, another network's output.

Targets that are one-hot give the losses of the labels. Each entry counts as it is: targets of a pixel are not
scaled to a sum of 1, and a pixel whose targets are all 0 is void. A class is present if any of its targets is
above 0: where targets come from a softmax, set tiny ones to 0 first, or every class is present.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, ScalarLike

from balanced_jax._arguments import PixelWeights, as_float, as_logits, as_weights
from balanced_jax.losses._region import map_of_errors
from balanced_jax.losses._softmax import softmax
from balanced_jax.losses._tversky import tversky_prices
from balanced_jax.losses._weights import weigh


def softmax_cross_entropy_with_probabilities(
    logits: Float[ArrayLike, "*batch h w classes"],
    targets: Float[ArrayLike, "*batch h w classes"],
    *,
    weights: PixelWeights | None = None,
) -> Float[Array, "*batch h w"]:
    """Compute cross entropy with targets t, -sum(t log(p)) for softmax probabilities p.

    Args:
        logits, weights: see `balanced_jax.losses` (result and errors, too).
        targets: probabilities of the classes [..., H, W, C], in [0, 1]. All 0: the pixel is void.

    >>> import numpy as np
    >>> targets = np.array([[[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]]], np.float32)  # the last pixel is void
    >>> logits = np.zeros((1, 3, 2), np.float32)
    >>> print(np.asarray(softmax_cross_entropy_with_probabilities(logits, targets)).round(2))
    [[0.69 0.69 0.  ]]
    """
    logits, targets, valid, weights = _check_arguments(logits, targets, weights)
    logits = jnp.where(valid[..., None], logits, 0)
    # A target of 0 asks nothing of a class whose logit is -inf.
    terms = jnp.where(targets > 0, targets * jax.nn.log_softmax(logits), 0)
    return weigh(-jnp.sum(terms, axis=-1), weights)


def dice_loss_with_probabilities(
    logits: Float[ArrayLike, "*batch h w classes"],
    targets: Float[ArrayLike, "*batch h w classes"],
    *,
    weights: PixelWeights | None = None,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Compute Dice loss with targets t as a map: S(|p - t|) / (S(p) + S(t)) for each class.

    It is 0 where the prediction is the target and nowhere else; 1 - 2 S(pt) / (S(p) + S(t)) is not, and would
    train towards targets of 0 and 1.

    Args:
        logits, weights, classes, smoothing: see `balanced_jax.losses` (result and errors, too).
        targets: see `softmax_cross_entropy_with_probabilities`.

    References:
        Wang et al. 2023, arXiv:2303.16296, the first of the Dice semimetric losses.

    >>> import numpy as np
    >>> logits = np.log(np.array([[[0.8, 0.2], [0.4, 0.6]]], np.float32))
    >>> print(np.asarray(dice_loss_with_probabilities(logits, np.exp(logits))).round(2))
    [[0. 0.]]
    """
    prices = tversky_prices(logits, 0.5, 0.5, classes, smoothing)
    return map_of_errors(*_errors(logits, targets, weights), prices)


def iou_loss_with_probabilities(
    logits: Float[ArrayLike, "*batch h w classes"],
    targets: Float[ArrayLike, "*batch h w classes"],
    *,
    weights: PixelWeights | None = None,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Compute intersection-over-union loss with targets t as a map: 2 D / (S(p) + S(t) + D), D = S(|p - t|).

    Args:
        logits, weights, classes, smoothing: see `balanced_jax.losses` (result and errors, too).
        targets: see `softmax_cross_entropy_with_probabilities`.

    References:
        Wang et al. 2023, arXiv:2302.05666, the first of the Jaccard metric losses.

    >>> import numpy as np
    >>> logits = np.log(np.array([[[0.8, 0.2], [0.4, 0.6]]], np.float32))
    >>> print(np.asarray(iou_loss_with_probabilities(logits, np.exp(logits))).round(2))
    [[0. 0.]]
    """
    prices = tversky_prices(logits, 1.0, 1.0, classes, smoothing)
    return map_of_errors(*_errors(logits, targets, weights), prices)


def _errors(
    logits: Float[ArrayLike, "*batch h w classes"],
    targets: Float[ArrayLike, "*batch h w classes"],
    weights: PixelWeights | None,
) -> tuple[Array, Array, Array, Array, Array]:
    """Return the first arguments of `map_of_errors`."""
    logits, targets, valid, weights = _check_arguments(logits, targets, weights)
    p, is_certain = softmax(logits, valid), targets == 1
    # Where the target is 1, the sum of the other probabilities does not cancel as 1 - p would.
    others = jnp.sum(jnp.where(is_certain, 0, p), axis=-1, keepdims=True)
    excess = jnp.where(is_certain, -others, p - targets)
    return jax.nn.relu(excess), jax.nn.relu(-excess), targets, valid, weights


def _check_arguments(
    logits: Float[ArrayLike, "*batch h w classes"],
    targets: Float[ArrayLike, "*batch h w classes"],
    weights: PixelWeights | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Float[Array, "*batch h w classes"],
    Bool[Array, "*batch h w"],
    Float[Array, "*batch h w"],
]:
    """Return logits in at least float32, targets without gradient, the valid mask, and weights."""
    logits, targets = as_logits(logits), as_float("targets", targets)
    if targets.shape != logits.shape:
        raise ValueError(f"targets must have shape {logits.shape}, that of logits, got {targets.shape}")
    targets = jax.lax.stop_gradient(targets).astype(logits.dtype)
    valid = jnp.any(targets > 0, axis=-1)
    return logits, targets, valid, as_weights(weights, valid, logits.dtype)
