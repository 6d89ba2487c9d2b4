"""Checks and the log odds of the error for softmax losses, which take one label per pixel."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer

from balanced_jax._arguments import PixelWeights, as_class_indices, as_logits, as_weights
from balanced_jax._labels import one_hot
from balanced_jax.masks.valid import valid_mask


def check_arguments(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    weights: PixelWeights | None,
) -> tuple[
    Float[Array, "*batch h w classes"],
    Integer[Array, "*batch h w"],
    Bool[Array, "*batch h w"],
    Float[Array, "*batch h w"],
]:
    """Return logits in at least float32, labels, the valid mask, and weights that are 0 at void pixels."""
    logits = as_logits(logits)
    pixels, num_classes = logits.shape[:-1], logits.shape[-1]
    labels = as_class_indices("labels", labels, num_classes)
    if labels.shape != pixels:
        message = f"labels must have shape {pixels}, that of logits less classes, got {labels.shape}"
        raise ValueError(message + _remedy(logits.shape, labels.shape))
    valid = valid_mask(labels, num_classes)
    return logits, labels, valid, as_weights(weights, valid, logits.dtype)


def _remedy(logits: tuple[int, ...], labels: tuple[int, ...]) -> str:
    """Return what to write for shapes of one-hot labels, or of arrays with another axis of classes."""
    *batch, height, width, num_classes = logits
    remedies = {
        (*batch, height, width, num_classes): "one-hot labels need labels.argmax(-1)",
        (*batch, num_classes, height, width): "one-hot labels need labels.argmax(-3)",
        (*batch, height, width, 1): "write labels[..., 0]",
        (*batch, 1, height, width): "write labels[..., 0, :, :]",
        (*batch, width, num_classes): "logits of shape [..., C, H, W] need jnp.moveaxis(logits, -3, -1)",
    }
    return f": {remedies[labels]}" if labels in remedies else ""


def log_odds_of_error(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """Return log(e / (1 - e)) of the error e, one minus the softmax probability of the label.

    Confident predictions round e or 1 - e to 0 or 1, never their log odds. 0 at void pixels, with a gradient
    of 0, whatever the logits are.
    """
    if logits.shape[-1] == 2:
        difference = logits[..., 1] - logits[..., 0]
        return jnp.where(labels == 0, difference, jnp.where(labels == 1, -difference, 0))
    return jnp.where(valid_mask(labels, logits.shape[-1]), _log_odds_of_error(logits, labels), 0)


@jax.custom_jvp
def _log_odds_of_error(logits, labels):
    label_logit, max_other, log_sum = split_logits(logits, labels)
    return _stored_on_gpu(log_sum + (max_other - label_logit))


@_log_odds_of_error.defjvp
def _log_odds_of_error_jvp(primals, tangents):
    logits, labels = primals
    label_logit, max_other, log_sum = split_logits(logits, labels)
    # Softmax over the classes other than the label. Subtracting the largest logit is exact.
    is_label = one_hot(labels, logits.shape[-1])
    others = jnp.where(is_label, jnp.finfo(logits.dtype).min, logits)
    p_other = jnp.exp((others - max_other[..., None]) - log_sum[..., None])
    slope = jnp.where(is_label, -1, jnp.where(valid_mask(labels, logits.shape[-1])[..., None], p_other, 0))
    return _stored_on_gpu(log_sum + (max_other - label_logit)), jnp.sum(slope * tangents[0], axis=-1)


def _stored_on_gpu(values: Float[Array, "*batch h w"]) -> Float[Array, "*batch h w"]:
    """Return the values, behind a barrier on a GPU, where XLA would compute them anew for cost and slope."""
    barrier = jax.lax.optimization_barrier
    return jax.lax.platform_dependent(values, cuda=barrier, rocm=barrier, default=lambda values: values)


def split_logits(
    logits: Float[Array, "*batch h w classes"], labels: Integer[Array, "*batch h w"]
) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """Return the label's logit, the largest other logit m, and logsumexp of the other logits minus m.

    The lowest finite number stands for the label among the others, so that m is finite where all of them are
    -inf.
    """
    num_classes, lowest = logits.shape[-1], jnp.finfo(logits.dtype).min
    if num_classes > _UNROLLED_CLASSES:
        is_label = one_hot(labels, num_classes)
        others = jnp.where(is_label, lowest, logits)
        max_other = jnp.max(others, axis=-1)
        log_sum = jnp.log(jnp.sum(jnp.exp(others - max_other[..., None]), axis=-1))
        return jnp.sum(jnp.where(is_label, logits, 0), axis=-1), max_other, log_sum
    planes = _class_planes(logits)
    zeros = jnp.zeros_like(planes[0])
    label_logit = sum((jnp.where(labels == k, plane, 0) for k, plane in enumerate(planes)), zeros)
    others = [jnp.where(labels == k, lowest, plane) for k, plane in enumerate(planes)]
    max_other = functools.reduce(jnp.maximum, others)
    return label_logit, max_other, jnp.log(sum(jnp.exp(other - max_other) for other in others))


@jax.custom_jvp
def softmax(
    logits: Float[Array, "*batch h w classes"], valid: Bool[Array, "*batch h w"]
) -> Float[Array, "*batch h w classes"]:
    """Return softmax over the classes; at void pixels 0, with a gradient of 0, whatever the logits are."""
    if logits.shape[-1] > _UNROLLED_CLASSES:
        return jnp.where(valid[..., None], jax.nn.softmax(logits), 0)
    planes = _class_planes(logits)
    top = functools.reduce(jnp.maximum, planes)
    log_sum = jnp.log(sum(jnp.exp(plane - top) for plane in planes))
    return jnp.where(valid[..., None], jnp.exp((logits - top[..., None]) - log_sum[..., None]), 0)


@softmax.defjvp
def _softmax_jvp(primals, tangents):
    p, tangent = softmax(*primals), tangents[0]
    return p, p * (tangent - jnp.sum(p * tangent, axis=-1, keepdims=True))


_UNROLLED_CLASSES = 32
"""Up to this number of classes a reduction over them is written out, class by class.

XLA fuses that into one loop over the pixels, on all platforms. Each `jnp.sum` or `jnp.max` over the short
axis is a loop of its own, which reads the logits again, but its code does not grow with the classes.
"""


def _class_planes(values: Float[Array, "*batch h w classes"]) -> list[Float[Array, "*batch h w"]]:
    return [values[..., k] for k in range(values.shape[-1])]
