"""Losses of regions, each as a map of what every pixel adds to it."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, ScalarLike

from balanced_jax._pixels import constant, one_hot
from balanced_jax.losses._softmax import checked


def dice_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """One minus the overlap of prediction and label, shared out among the pixels.

    A class costs 1 - 2 S(py) / (S(p) + S(y)), where p is its softmax probability, y is 1 where it is the
    label, and S sums over the non-void pixels of one image. That is S(p + y - 2py) / (S(p) + S(y)), so the
    map holds n (p + y - 2py) / (S(p) + S(y)) on the n non-void pixels, averaged over classes, and its mean
    over them (`masked_mean`) is the Dice loss. Alone an entry is no probability: where few pixels carry the
    whole loss they cost much.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts, at least 0; enters the sums as well, so that multiplying the map
            afterwards is another loss, with the weights in the numerator alone. Ignored at void pixels.
        classes: which classes are averaged in an image: "present" are those that label a pixel of weight
            above 0, "all" every one.
        smoothing: under "all", a class that labels nothing costs f / (f + smoothing), f its mean
            probability; above 0. May be traced. Classes that are present are not smoothed.

    Returns:
        Share of each pixel, at least 0; float32, or float64 for float64 logits. An image without a pixel
        of weight above 0 costs 0.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, an unknown `classes`, or a
            smoothing that is not above 0.

    The sums are those of one image. For the Dice loss of a whole batch let it be one tall image:
    `dice_loss(logits.reshape(-1, width, num_classes), labels.reshape(-1, width))`.

    References:
        Milletari et al. 2016, arXiv:1606.04797, with p in the place of p squared in the denominator.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(dice_loss(background, labels).mean().item(), 3)  # the defect is missed: (1 + 1 / 31) / 2
    0.516
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    return _tversky(
        jax.nn.softmax(logits),
        labels,
        valid,
        weights,
        false_positive=0.5,
        false_negative=0.5,
        classes=classes,
        smoothing=smoothing,
    )


def _tversky(
    p: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    valid: Bool[Array, "*batch h w"],
    weights: Float[Array, "*batch h w"],
    *,
    false_positive: ScalarLike,
    false_negative: ScalarLike,
    classes: Literal["present", "all"],
    smoothing: ScalarLike,
) -> Float[Array, "*batch h w"]:
    """One minus the Tversky index as a map: halves make it Dice, ones intersection over union."""
    if classes not in ("present", "all"):
        raise ValueError(f'classes must be "present" or "all", got {classes!r}')
    smoothing = constant("smoothing", smoothing, lambda s: s > 0, "above 0", p.dtype)
    y, w = one_hot(labels, p.shape[-1]), weights[..., None]
    labelled = jnp.any(y & (w > 0), axis=(-3, -2), keepdims=True)
    counted = labelled if classes == "present" else jnp.ones_like(labelled)

    wrong = jnp.where(y, false_negative * (1 - p), false_positive * p)
    cost = jnp.where(labelled, wrong, p)
    whole = jnp.where(labelled, jnp.where(y, p, 0) + wrong, p + smoothing)
    total = jnp.sum(w * whole, axis=(-3, -2), keepdims=True)
    pixels = jnp.sum(valid, axis=(-2, -1), dtype=jnp.int32)[..., None, None, None].astype(p.dtype)
    averaged = jnp.maximum(jnp.sum(counted, axis=-1, keepdims=True, dtype=jnp.int32), 1)
    share = counted * (pixels / averaged) / jnp.where(total > 0, total, 1)
    return jnp.where(valid, weights * jnp.sum(cost * share, axis=-1), 0)
