"""Lovász-softmax loss: the Lovász extension of intersection over union, as a map."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, DTypeLike, Float, Integer, UInt

from balanced_jax._arguments import PixelWeights
from balanced_jax._sharding import shard_automatically
from balanced_jax.losses._region import class_mean_weights, count_pixels
from balanced_jax.losses._softmax import check_arguments


def lovasz_softmax_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    classes: Literal["present", "all"] = "present",
) -> Float[Array, "*batch h w"]:
    """Compute Lovász-softmax loss, one minus intersection over union extended to probabilities, as a map.

    For a class of softmax probability p, the error of a pixel is 1 - p where the class is the label and p
    elsewhere. Misclassifying the pixels one by one, largest error first, raises one minus intersection over
    union from 0 to 1 in steps; the class costs the sum of error times step, which is exactly one minus
    intersection over union if all errors are 0 or 1. The map holds error times step of each pixel, times the
    number of non-void pixels, averaged over classes.

    Pixels of equal error are sorted in row-major order; any other order gives the same loss. The steps change
    only where two errors swap ranks, so they are constants to differentiation.

    Args:
        logits, labels, weights, classes: see `balanced_jax.losses` (result and errors, too). Under "all", a
            class without labeled pixels costs its largest error, at the pixel of that error.

    References:
        Berman et al. 2018, arXiv:1705.08790, algorithm 1, which has no weights.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([40.0, 0.0], np.float32)
    >>> round(lovasz_softmax_loss(background, labels).mean().item(), 3)  # a missed defect: (1 + 4 / 64) / 2
    0.531
    """
    weighted = weights is not None
    logits, labels, valid, weights = check_arguments(logits, labels, weights)
    # Planes of classes: with the classes last, a GPU stores both the errors and their transposes.
    logits = jnp.where(valid[None], jnp.moveaxis(logits, -1, 0), 0)
    is_label = jax.nn.one_hot(labels, len(logits), axis=0, dtype=bool)
    p = jax.nn.softmax(logits, axis=0)
    # The sum of the other probabilities: 1 - p would cancel.
    errors = jnp.where(is_label, jnp.sum(p, axis=0, where=~is_label, keepdims=True), p)
    constants = jax.lax.stop_gradient(errors), is_label, valid, weights if weighted else None
    steps = shard_automatically(_jaccard_steps, *constants)
    labeled = jnp.moveaxis(jnp.any(is_label & (weights > 0)[None], axis=(-2, -1)), 0, -1)
    steps *= jnp.moveaxis(class_mean_weights(labeled, classes, weights.dtype), -1, 0)[..., None, None]
    # The error of the label is the sum of the other probabilities, each of which costs both steps.
    costs = jnp.where(is_label, 0, steps + jnp.sum(steps, axis=0, where=is_label, keepdims=True))
    # Relative to the class of probability above 1/2, if any: near 1 its gradient, p (cost - expected cost),
    # would cancel, and the step of one pixel can be the whole loss.
    pivot = jnp.sum(costs, axis=0, where=p > 0.5, keepdims=True)
    expected = pivot[0] + jnp.sum(p * (costs - pivot), axis=0)
    return jnp.where(valid, count_pixels(valid, weights.dtype) * expected, 0)


def _jaccard_steps(
    errors: Float[Array, "classes *batch h w"],
    is_label: Bool[Array, "classes *batch h w"],
    valid: Bool[Array, "*batch h w"],
    weights: Float[Array, "*batch h w"] | None,
) -> Float[Array, "classes *batch h w"]:
    """Return the increase of 1 - I / U by each pixel as pixels are misclassified, largest error first.

    A pixel of the class leaves the intersection I, a pixel of another class joins the union U. Void pixels
    come last; their steps mean nothing.
    """
    # Two classes have the same errors, so one order serves both.
    sides = (is_label[:1], is_label[1:]) if len(errors) == 2 else (is_label,)
    flags = functools.reduce(jnp.bitwise_or, (side.astype(jnp.uint32) << k for k, side in enumerate(sides)))
    errors_of_valid = jnp.where(valid[None], errors[: len(sides[0])], 0)
    # The bits of numbers of at least 0, read as integers, sort like the numbers.
    bits = jax.lax.bitcast_convert_type(errors_of_valid, f"uint{8 * errors.dtype.itemsize}")
    key = jax.lax.collapse(~bits, -2)
    index = jax.lax.broadcasted_iota(jnp.uint32, key.shape, key.ndim - 1)
    operands = [key, index << 2 | jax.lax.collapse(flags, -2)]
    if weights is not None:
        operands.append(jnp.broadcast_to(jax.lax.collapse(weights, -2)[None], key.shape))
    steps_of = functools.partial(_steps_in_order, sides=len(sides), dtype=errors.dtype)
    default = functools.partial(_sort_there_and_back, steps_of)
    # jax before 0.8 cannot have 64 bits in a part of a program alone.
    one_word = errors.dtype == jnp.float32 and hasattr(jax, "enable_x64")
    cpu = functools.partial(_sort_in_one_word, steps_of) if one_word else default
    steps = jax.lax.platform_dependent(*operands, cpu=cpu, default=default)
    return jnp.concatenate(steps).reshape(errors.shape)


def _sort_there_and_back(steps_of, key, pixel, *weight):
    """Return `steps_of` the pixels by ascending key, ties in row-major order, at their places in the image.

    Two sorts carry everything along: gathers and scatters by pixel move several times as much on a TPU.
    """
    _, pixel, *weight = jax.lax.sort((key, pixel, *weight), num_keys=2, is_stable=False)
    _, *steps = jax.lax.sort((pixel, *steps_of(pixel, *weight)), num_keys=1, is_stable=False)
    return steps


def _sort_in_one_word(steps_of, key, pixel, *weight):
    """Compute `_sort_there_and_back` with one array to sort.

    XLA:CPU sorts one array of integers in native code, and calls a comparison function for several arrays. So
    the key and the pixel share the 64 bits of one integer.
    """
    with jax.enable_x64(True):  # for the sorted integers only
        pixel = jax.lax.sort(key.astype(jnp.uint64) << 32 | pixel.astype(jnp.uint64)).astype(jnp.uint32)
    index = (pixel >> 2).astype(jnp.int32)
    steps = steps_of(pixel, *(jnp.take_along_axis(w, index, axis=-1) for w in weight))
    put = jnp.vectorize(
        lambda step, index: jnp.zeros_like(step).at[index].set(step), signature="(n),(n)->(n)"
    )
    return [put(step, index) for step in steps]


def _steps_in_order(
    pixel: UInt[Array, "planes *batch pixels"],
    weight: Float[Array, "planes *batch pixels"] | None = None,
    *,
    sides: int,
    dtype: DTypeLike,
) -> list[Float[Array, "planes *batch pixels"]]:
    """Return the steps of sorted pixels for each side, a bit of `pixel` that flags the pixels of a class.

    The steps are written without differences of 1 - I / U, which would cancel.
    """
    axis = pixel.ndim - 1
    if weight is None:
        weight = jnp.ones(pixel.shape, dtype)
        preceding = jax.lax.broadcasted_iota(dtype, pixel.shape, axis)
    else:
        shifted = jnp.concatenate([jnp.zeros_like(weight[..., :1]), weight[..., :-1]], axis=axis)
        preceding = jax.lax.cumsum(shifted, axis=axis)
    steps = []
    for side in range(sides):
        is_label = (pixel >> side & 1) == 1
        intersection = jax.lax.cumsum(jnp.where(is_label, weight, 0), axis=axis, reverse=True)
        union_before = intersection + preceding
        union = jnp.where(is_label, union_before, union_before + weight)
        # For a class without labels, I / U is 0 / 0, counted as 1, before the first pixel, and 0 after it.
        started = union_before > 0
        iou_before = jnp.where(started, intersection / jnp.where(started, union_before, 1), 1)
        steps.append(jnp.where(is_label, weight, weight * iou_before) / jnp.where(union > 0, union, 1))
    return steps
