"""What every softmax loss of one label begins with."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer

from balanced_jax._arguments import as_classes, as_float
from balanced_jax._labels import one_hot
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


@jax.custom_jvp
def log_odds_of_error(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """log(e / (1 - e)) of the error e, one minus the softmax probability of the label.

    The digits that e and 1 - e lose where a network is sure are all in here. At void pixels it is finite.
    """
    own, top, log_sum = own_and_others(logits, labels)
    return log_sum + (top - own)


@log_odds_of_error.defjvp
def _log_odds_of_error_jvp(primals, tangents):
    logits, labels = primals
    own, top, log_sum = own_and_others(logits, labels)
    # The share of each class in the probability of the others. Shifts by the largest logit are exact.
    share = jnp.exp((logits - top[..., None]) - log_sum[..., None])
    slope = jnp.where(one_hot(labels, logits.shape[-1]), -1, share)
    return log_sum + (top - own), jnp.sum(slope * tangents[0], axis=-1)


def own_and_others(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"]
) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """The label's logit, the largest of the others, and how far logsumexp of the others exceeds that.

    Plane by plane, because a CPU makes one loop of sums of planes, and keeps the logarithm alone in memory;
    what reductions over the short axis of classes give, it keeps at every step.
    """
    planes = [logits[..., k] for k in range(logits.shape[-1])]
    nothing = jnp.zeros_like(planes[0])
    own = sum((jnp.where(labels == k, plane, 0) for k, plane in enumerate(planes)), nothing)
    others = [jnp.where(labels == k, -jnp.inf, plane) for k, plane in enumerate(planes)]
    top = functools.reduce(jnp.maximum, others)
    if len(planes) == 2:  # of one other there is nothing to sum, but that is for us to say, not to compute
        return own, top, nothing
    return own, top, jnp.log(sum(jnp.exp(other - top) for other in others))
