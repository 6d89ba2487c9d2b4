"""Intersection over union itself, made continuous, as a map of what every pixel adds to it."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer

from balanced_jax._pixels import one_hot
from balanced_jax.losses._softmax import checked
from balanced_jax.losses.region import counted, errors, pixels


def lovasz_softmax_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    classes: Literal["present", "all"] = "present",
) -> Float[Array, "*batch h w"]:
    """One minus intersection over union, continued from right and wrong to probabilities between.

    For a class, a pixel's error is 1 - p where the class is its label and p elsewhere, p its softmax
    probability. Taken one by one from the largest error down, as though each were misclassified outright,
    the pixels raise one minus intersection over union from 0 to 1 in steps, and the class costs the sum of
    error times step: exactly one minus intersection over union where all errors are 0 or 1. The map holds
    that product at the pixel, times the number of non-void pixels and averaged over classes, so that its
    mean over them (`masked_mean`) is the loss.

    Pixels of equal error are taken in the order of rows, which the sum does not feel.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts in the intersection and in the union, at least 0; multiplying the
            map afterwards is another loss. Ignored at void pixels.
        classes: which classes are averaged in an image: "present" are those that label a pixel of weight
            above 0, "all" every one. One that labels nothing costs its largest error, at the one pixel
            that has it.

    Returns:
        Share of each pixel, at least 0; float32, or float64 for float64 logits. An image without a pixel
        of weight above 0 costs 0.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, or an unknown `classes`.

    The steps change only where two errors change places, so they are constants to differentiation.

    References:
        Berman et al. 2018, arXiv:1705.08790, algorithm 1; the weights are ours.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([40.0, 0.0], np.float32)
    >>> round(lovasz_softmax_loss(background, labels).mean().item(), 3)  # a missed defect: (1 + 4 / 64) / 2
    0.531
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    p, y = _softmax(logits), one_hot(labels, logits.shape[-1])
    error, counts = errors(p, y), weights[..., None]
    step = _steps(*map(_by_class, (error, jnp.where(y, counts, 0), jnp.where(y, 0, counts))))
    step = jnp.moveaxis(step.reshape(*p.shape[:-3], -1, *p.shape[-3:-1]), -3, -1)
    labelled = jnp.any(y & (counts > 0), axis=(-3, -2), keepdims=True)
    cost = jnp.sum(counted(labelled, classes, p.dtype) * error * step, axis=-1)
    return jnp.where(valid, pixels(valid, p.dtype) * cost, 0)


def _softmax(logits: Float[Array, "*batch h w classes"]) -> Float[Array, "*batch h w classes"]:
    """Softmax by the margins to the largest logit, whose own gradient is thus minus that of the others.

    A step of one pixel can be the whole loss. The usual gradient, p (v - sum(p v)), then loses what is left
    of it at a class that is nearly certain.
    """
    top = one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1])
    largest = jnp.sum(logits, axis=-1, where=top, keepdims=True)
    return jax.nn.softmax(jnp.where(top, 0, logits - largest))


def _by_class(values: Float[Array, "*batch h w classes"]) -> Float[Array, "*batch classes pixels"]:
    """The pixels of an image in a row, class by class."""
    return jnp.moveaxis(values.reshape(*values.shape[:-3], -1, values.shape[-1]), -1, -2)


def _steps(
    error: Float[Array, "*batch pixels"],
    inside: Float[Array, "*batch pixels"],
    outside: Float[Array, "*batch pixels"],
) -> Float[Array, "*batch pixels"]:
    """What each pixel adds to 1 - I / U when it is misclassified after all pixels of larger error.

    A pixel of the class, of weight `inside`, leaves the intersection I, and one of another class, of weight
    `outside`, joins the union U. Written as differences of 1 - I / U the steps would be lost to rounding.
    """
    place = jax.lax.broadcasted_iota(jnp.int32, error.shape, error.ndim - 1)
    worst_first = (-jax.lax.stop_gradient(error), place, inside, outside)
    _, place, inside, outside = jax.lax.sort(worst_first, num_keys=1)
    intersection = jax.lax.cumsum(inside, axis=inside.ndim - 1, reverse=True)
    size = intersection[..., :1]
    union = size + jnp.cumsum(outside, axis=-1)
    before = jnp.concatenate([size, union[..., :-1]], axis=-1)
    # Of a class that labels nothing, the first pixel takes I / U from 1, as 0 / 0 counts, to 0.
    ratio = jnp.where(before > 0, intersection / jnp.where(before > 0, before, 1), 1)
    step = (inside + outside * ratio) / jnp.where(union > 0, union, 1)
    return jax.lax.sort((place, step), num_keys=1)[1]
