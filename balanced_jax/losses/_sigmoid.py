"""What every sigmoid loss begins and ends with."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer

from balanced_jax._pixels import as_classes, as_float
from balanced_jax.masks.valid import valid_mask


def checked(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    weights: Float[ArrayLike, "..."] | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Integer[Array, "*batch h w classes"],
    Bool[Array, "*batch h w classes"],
    Float[Array, "*batch h w classes"],
]:
    """Logits in at least float32, labels, which entries are valid, and weights that are 0 elsewhere."""
    logits = as_float("logits", logits)
    if logits.ndim < 3 or logits.shape[-1] < 1:
        raise ValueError(f"logits must have shape [..., H, W, C] with C of at least 1, got {logits.shape}")
    labels = as_classes("labels", labels, 2)
    if labels.shape != logits.shape:
        raise ValueError(f"labels must have shape {logits.shape}, that of logits, got {labels.shape}")
    valid = valid_mask(labels, 2)
    if weights is None:
        return logits, labels, valid, valid.astype(logits.dtype)
    weights = jnp.asarray(weights, logits.dtype)
    if weights.shape not in (logits.shape, logits.shape[:-1]):
        raise ValueError(
            f"weights must have shape {logits.shape[:-1]} or {logits.shape}, one number a pixel or an entry, "
            f"got {weights.shape}"
        )
    by_entry = weights if weights.ndim == logits.ndim else weights[..., None]
    # Before any product: a NaN weight at a void entry would survive a multiplication by 0.
    return logits, labels, valid, jnp.where(valid, by_entry, 0)


def log_odds_of_error(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w classes"]
) -> Float[Array, "*batch h w classes"]:
    """log(e / (1 - e)) of the error e, one minus the probability of an entry's label."""
    return jnp.where(labels == 1, -logits, logits)


def mean_of_entries(
    cost: Float[Array, "*batch h w classes"], valid: Bool[Array, "*batch h w classes"]
) -> Float[Array, "*batch h w"]:
    """Mean over the valid entries of each pixel; 0 where there are none."""
    entries = jnp.maximum(jnp.sum(valid, axis=-1, dtype=jnp.int32), 1)
    return jnp.sum(cost, axis=-1, where=valid) / entries
