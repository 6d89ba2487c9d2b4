"""What every sigmoid loss begins and ends with."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer

from balanced_jax._arguments import as_classes, as_float
from balanced_jax.masks.valid import valid_mask


def checked(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    weights: Float[ArrayLike, "..."] | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Integer[Array, "*batch h w classes"],
    Float[Array, "*batch h w classes"],
]:
    """Logits in at least float32, labels, and weights that are 0 at entries that are not valid."""
    logits = as_float("logits", logits)
    if logits.ndim < 3 or logits.shape[-1] < 1:
        raise ValueError(f"logits must have shape [..., H, W, C] with C of at least 1, got {logits.shape}")
    labels = as_classes("labels", labels, 2)
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
    # Before any product: a NaN weight at a void entry would survive a multiplication by 0.
    return logits, labels, jnp.where(valid, by_entry, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def mean_of_entries(
    cost: Callable[[Float[Array, "*shape"], Any], Float[Array, "*shape"]],
    options: Any,
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w classes"],
    weights: Float[Array, "*batch h w classes"],
) -> Float[Array, "*batch h w"]:
    """Mean of weighted costs over the valid entries of each pixel; 0 where there are none.

    The cost is a function of log(e / (1 - e)) of an entry's error e, one minus the probability of its label,
    and of options that are constants to differentiation. Plane by plane, because a CPU makes one loop of sums
    of planes; what a reduction over the short axis of classes sums, it keeps in memory.
    """
    total, entries = jnp.zeros(logits.shape[:-1], logits.dtype), _valid_entries(labels)
    for k in range(logits.shape[-1]):
        total += weights[..., k] * cost(_log_odds_of_error(logits[..., k], labels[..., k]), options)
    # It ends in a choice: a quotient would be drawn into the reduction that follows, and all its terms kept.
    return jnp.where(entries > 0, total / jnp.maximum(entries, 1), 0)


@mean_of_entries.defjvp
def _mean_of_entries_jvp(cost, primals, tangents):
    options, logits, labels, weights = primals
    _, of_logits, _, of_weights = tangents
    costs, changes = jax.jvp(
        lambda odds: cost(odds, options),
        [_log_odds_of_error(logits, labels)],
        [_log_odds_of_error(of_logits, labels)],
    )
    total = jnp.sum(weights * changes + of_weights * costs, axis=-1)
    return mean_of_entries(cost, *primals), total / jnp.maximum(_valid_entries(labels), 1)


def _log_odds_of_error(
    logits: Float[Array, "*shape"], labels: Integer[Array, "*shape"]
) -> Float[Array, "*shape"]:
    # A product, not a choice of two: the derivative of a choice takes what comes in twice, so it is kept.
    return logits * jnp.where(labels == 1, -1, 1).astype(logits.dtype)


def _valid_entries(labels: Integer[Array, "*batch h w classes"]) -> Integer[Array, "*batch h w"]:
    return sum(
        (valid_mask(labels[..., k], 2).astype(jnp.int32) for k in range(labels.shape[-1])),
        jnp.zeros(labels.shape[:-1], jnp.int32),
    )
