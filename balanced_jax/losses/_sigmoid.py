"""Checks and the mean over entries for sigmoid losses; an entry is one class at one pixel."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer

from balanced_jax._arguments import as_class_indices, as_float
from balanced_jax.masks.valid import valid_mask


def check_arguments(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    weights: Float[ArrayLike, "..."] | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Integer[Array, "*batch h w classes"],
    Float[Array, "*batch h w classes"],
]:
    """Return logits in at least float32, labels, and weights of entries, 0 at void entries."""
    logits = as_float("logits", logits)
    if logits.ndim < 3 or logits.shape[-1] < 1:
        raise ValueError(f"logits must have shape [..., H, W, C] with C of at least 1, got {logits.shape}")
    labels = as_class_indices("labels", labels, 2)
    if labels.shape != logits.shape:
        raise ValueError(f"labels must have shape {logits.shape}, that of logits, got {labels.shape}")
    valid = valid_mask(labels, 2)
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


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def mean_over_entries(
    cost: Callable[[Float[Array, "*shape"], Any], Float[Array, "*shape"]],
    options: Any,
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w classes"],
    weights: Float[Array, "*batch h w classes"],
) -> Float[Array, "*batch h w"]:
    """Return the mean of weighted costs over the valid entries of each pixel; 0 where all are void.

    `cost(log_odds, options)` takes the log odds of an entry's error, one minus the probability of its label,
    and options without gradient. XLA:CPU fuses sums of class planes into one loop; of a reduction over the
    short class axis it stores every term.
    """
    total, entries = jnp.zeros(logits.shape[:-1], logits.dtype), _count_valid_entries(labels)
    for k in range(logits.shape[-1]):
        total += weights[..., k] * cost(_log_odds_of_error(logits[..., k], labels[..., k]), options)
    # `where` keeps XLA:CPU from fusing the division into the caller's sum, which would store every term.
    return jnp.where(entries > 0, total / jnp.maximum(entries, 1), 0)


@mean_over_entries.defjvp
def _mean_over_entries_jvp(cost, primals, tangents):
    options, logits, labels, weights = primals
    _, logits_tangent, _, weights_tangent = tangents
    costs, costs_tangent = jax.jvp(
        lambda log_odds: cost(log_odds, options),
        [_log_odds_of_error(logits, labels)],
        [_log_odds_of_error(logits_tangent, labels)],
    )
    total = jnp.sum(weights * costs_tangent + weights_tangent * costs, axis=-1)
    return mean_over_entries(cost, *primals), total / jnp.maximum(_count_valid_entries(labels), 1)


def _log_odds_of_error(
    logits: Float[Array, "*shape"], labels: Integer[Array, "*shape"]
) -> Float[Array, "*shape"]:
    # A product: the transpose of `where(labels == 1, -logits, logits)` reads the cotangent twice, so XLA
    # would store the cotangent.
    return logits * jnp.where(labels == 1, -1, 1).astype(logits.dtype)


def _count_valid_entries(labels: Integer[Array, "*batch h w classes"]) -> Integer[Array, "*batch h w"]:
    return sum(
        (valid_mask(labels[..., k], 2).astype(jnp.int32) for k in range(labels.shape[-1])),
        jnp.zeros(labels.shape[:-1], jnp.int32),
    )
