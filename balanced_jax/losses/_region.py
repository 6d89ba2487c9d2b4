"""What region losses have in common: soft confusion sums, and the map of a loss that is a function of them.

With softmax probabilities p, one-hot labels y and weights w, the sums over an image are the false positives
F = S(w p (1 - y)), the false negatives M = S(w (1 - p) y) and the true positives T = S(w p y) of each class.
A region loss a F + b M, whose factors a and b are functions of the sums, is the sum of a map,

    w sum_k a[k] p[k] (1 - y[k]) + b[k] (1 - p[k]) y[k].
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, DTypeLike, Float, Integer

from balanced_jax._arguments import PixelWeights
from balanced_jax._labels import one_hot, take_by_label
from balanced_jax.losses._log_odds import sigmoid
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error, softmax
from balanced_jax.losses._weights import weigh


class SoftConfusion(NamedTuple):
    """Confusion sums of each class in each image, of weight times probability."""

    false_positives: Float[Array, "*batch classes"]
    false_negatives: Float[Array, "*batch classes"]
    size: Float[Array, "*batch classes"]
    """Sum of the weights of the class's pixels."""

    @property
    def true_positives(self) -> Float[Array, "*batch classes"]:
        return self.size - self.false_negatives


Prices = Callable[[SoftConfusion], tuple[Float[Array, "*batch classes"], Float[Array, "*batch classes"]]]
"""The factors a and b of the false positives and the false negatives of each class, from all sums."""


def region_map(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    weights: PixelWeights | None,
    prices: Prices,
) -> Float[Array, "*batch h w"]:
    """Return the map whose mean over the non-void pixels of an image is a F + b M; a, b = prices(sums)."""
    logits, labels, valid, weights = check_arguments(logits, labels, weights)
    pixels = count_pixels(valid, logits.dtype)
    if logits.shape[-1] == 2:
        # The error is the probability of the class that is not the label. From this one map, sums and cost
        # move half the bytes of those below on a TPU, a third on a GPU, in a quarter of the time on a CPU.
        error = sigmoid(log_odds_of_error(logits, labels))
        missed, size = (
            jnp.stack([jnp.sum(jnp.where(labels == k, x, 0), axis=(-2, -1)) for k in (0, 1)], axis=-1)
            for x in (weights * error, weights)
        )
        a, b = prices(SoftConfusion(missed[..., ::-1], missed, size))
        return weigh(error * pixels * take_by_label(a[..., ::-1] + b, labels), weights)
    y = one_hot(labels, logits.shape[-1])
    false_positives = jnp.where(y, 0, softmax(logits, valid))
    # The error of the label is the sum of the other probabilities, which unlike 1 - p does not cancel.
    false_negatives = jnp.where(y, jnp.sum(false_positives, axis=-1, keepdims=True), 0)
    return map_of_errors(false_positives, false_negatives, y.astype(logits.dtype), valid, weights, prices)


def map_of_errors(
    false_positives: Float[Array, "*batch h w classes"],
    false_negatives: Float[Array, "*batch h w classes"],
    targets: Float[Array, "*batch h w classes"],
    valid: Bool[Array, "*batch h w"],
    weights: Float[Array, "*batch h w"],
    prices: Prices,
) -> Float[Array, "*batch h w"]:
    """Return the map of a F + b M from unweighted false positives, false negatives and targets."""
    w, pixels = weights[..., None], count_pixels(valid, weights.dtype)
    terms = w * false_positives, w * false_negatives, w * targets
    a, b = prices(SoftConfusion(*(jnp.sum(term, axis=(-3, -2)) for term in terms)))
    a, b = (pixels * x[..., None, :] for x in (a, b))
    cost = jnp.sum(a[..., None, :] * false_positives + b[..., None, :] * false_negatives, axis=-1)
    return weigh(cost, weights)


def count_pixels(valid: Bool[Array, "*batch h w"], dtype: DTypeLike) -> Float[Array, "*batch 1 1"]:
    """Return the number of valid pixels of each image, the factor between the sum of a map and its mean."""
    return jnp.sum(valid, axis=(-2, -1), keepdims=True, dtype=jnp.int32).astype(dtype)


def class_mean_weights(
    labeled: Bool[Array, "*batch classes"], classes: Literal["present", "all"], dtype: DTypeLike
) -> Float[Array, "*batch classes"]:
    """Return the weight of each class in the mean over the labeled classes, or over all."""
    if classes not in ("present", "all"):
        raise ValueError(f'classes must be "present" or "all", got {classes!r}')
    averaged = (labeled if classes == "present" else jnp.ones_like(labeled)).astype(dtype)
    return averaged / jnp.maximum(jnp.sum(averaged, axis=-1, keepdims=True), 1)
