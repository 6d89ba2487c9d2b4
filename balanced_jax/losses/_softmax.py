"""What every softmax loss begins with."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer

from balanced_jax._pixels import as_classes, as_float, one_hot
from balanced_jax.masks.valid import valid_mask


def checked(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    weights: Float[ArrayLike, "*batch h w"] | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Integer[Array, "*batch h w"],
    Bool[Array, "*batch h w"],
    Float[Array, "*batch h w"],
]:
    """Logits in at least float32, labels, where these are valid, and weights that are 0 elsewhere."""
    logits = as_float("logits", logits)
    if logits.ndim < 3 or logits.shape[-1] < 2:
        raise ValueError(f"logits must have shape [..., H, W, C] with C of at least 2, got {logits.shape}")
    pixels, num_classes = logits.shape[:-1], logits.shape[-1]
    labels = as_classes("labels", labels, num_classes)
    if labels.shape != pixels:
        raise ValueError(f"labels must have shape {pixels}, that of logits less classes, got {labels.shape}")
    valid = valid_mask(labels, num_classes)
    if weights is None:
        return logits, labels, valid, valid.astype(logits.dtype)
    if jnp.shape(weights) != pixels:
        raise ValueError(f"weights must have shape {pixels}, that of labels, got {jnp.shape(weights)}")
    # Before any product: a NaN weight at a void pixel would survive a multiplication by 0.
    return logits, labels, valid, jnp.where(valid, jnp.asarray(weights, logits.dtype), 0)


def negative_log_likelihood(
    log_p: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """-log of the labelled class's probability; 0 at void pixels."""
    return jnp.sum(-log_p, axis=-1, where=one_hot(labels, log_p.shape[-1]))
