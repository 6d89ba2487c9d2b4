"""Checks and the mean over entries for sigmoid losses; an entry is one class at one pixel."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer

from balanced_jax._arguments import EntryWeights, PixelWeights, as_class_indices, as_logits
from balanced_jax.losses._weights import weigh


def check_arguments(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    weights: PixelWeights | EntryWeights | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Integer[Array, "*batch h w classes"],
    Float[Array, "*batch h w classes"],
]:
    """Return logits in at least float32, labels, and weights of entries, 0 at void entries."""
    logits = as_logits(logits, min_classes=1)
    labels = as_class_indices("labels", labels, 2)
    if labels.shape != logits.shape:
        message = f"labels must have shape {logits.shape}, that of logits, got {labels.shape}"
        raise ValueError(message + _remedy(logits.shape, labels.shape))
    valid = _is_flag(labels)
    # A NaN or an infinity at a void entry would survive a product with 0, in the mean and in the gradient.
    logits = jnp.where(valid, logits, 0)
    if weights is None:
        return logits, labels, valid.astype(logits.dtype)
    weights = jnp.asarray(weights, logits.dtype)
    if weights.shape not in (logits.shape, logits.shape[:-1]):
        raise ValueError(
            f"weights must have shape {logits.shape[:-1]} or {logits.shape}, one number a pixel or an entry, "
            f"got {weights.shape}"
        )
    by_entry = weights if weights.ndim == logits.ndim else weights[..., None]
    # Set to 0 before any product: a NaN weight at a void entry would survive a multiplication by 0.
    return logits, labels, jnp.where(valid, by_entry, 0)


def _remedy(logits: tuple[int, ...], labels: tuple[int, ...]) -> str:
    """Return what to write for shapes of class indices, or of flags with another axis of classes."""
    *batch, height, width, num_classes = logits
    remedies = {
        (*batch, height, width): "class indices need the softmax losses",
        (*batch, num_classes, height, width): "write jnp.moveaxis(labels, -3, -1)",
    }
    return f": {remedies[labels]}" if labels in remedies else ""


def mean_over_entries(
    cost: Callable[[Float[Array, "*shape"], Any], Float[Array, "*shape"]],
    options: Any,
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w classes"],
    weights: Float[Array, "*batch h w classes"],
) -> Float[Array, "*batch h w"]:
    """Return the mean of weighted costs over the valid entries of each pixel; 0 where all are void.

    `cost(log_odds, options)` takes the log odds of an entry's error, one minus the probability of its label.
    """
    log_odds_of_error = jnp.where(labels == 1, -logits, logits)
    total = jnp.sum(weigh(cost(log_odds_of_error, options), weights), axis=-1)
    return total / jnp.maximum(jnp.sum(_is_flag(labels), axis=-1, dtype=total.dtype), 1)


def _is_flag(labels: Integer[Array, "*shape"]) -> Bool[Array, "*shape"]:
    # Not by two bounds, as `valid_mask` does: a TPU would then make value and gradient in separate passes.
    return (labels == 0) | (labels == 1)
