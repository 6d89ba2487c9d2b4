"""Intersection over union itself, made continuous, as a map of what every pixel adds to it."""

import functools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, Shaped

from balanced_jax._labels import one_hot
from balanced_jax.losses._region import counted, pixels
from balanced_jax.losses._softmax import checked


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
    y = [labels == k for k in range(logits.shape[-1])]
    labelled = jnp.stack([jnp.any(own & (weights > 0), axis=(-2, -1)) for own in y], axis=-1)
    part = counted(labelled, classes, weights.dtype)[..., None, None, :]
    errors = _errors(_softmax(logits), y)
    orders = _orders([jax.lax.stop_gradient(jax.lax.collapse(error, -2)) for error in errors])
    steps = [_steps(order, own, weights) for order, own in zip(orders, y, strict=True)]
    cost = sum(part[..., k] * error * step for k, (error, step) in enumerate(zip(errors, steps, strict=True)))
    return jnp.where(valid, pixels(valid, weights.dtype) * cost, 0)


def _softmax(logits: Float[Array, "*batch h w classes"]) -> Sequence[Float[Array, "*batch h w"]]:
    """Softmax by the margins to the largest logit, whose own gradient is thus minus that of the others.

    A step of one pixel can be the whole loss. The usual gradient, p (v - sum(p v)), then loses what is left
    of it at a class that is nearly certain.
    """
    top = one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1])
    largest = jnp.sum(logits, axis=-1, where=top, keepdims=True)
    return jnp.unstack(jax.nn.softmax(jnp.where(top, 0, logits - largest)), axis=-1)


def _errors(
    p: Sequence[Float[Array, "*batch h w"]], y: Sequence[Bool[Array, "*batch h w"]]
) -> list[Float[Array, "*batch h w"]]:
    """How wrong each class is at each pixel: 1 - p where it is the label, p elsewhere."""
    # What the label lacks went to the others: 1 - p would lose the last of it to rounding.
    missed = sum(jnp.where(own, 0, q) for own, q in zip(y, p, strict=True))
    return [jnp.where(own, missed, q) for own, q in zip(y, p, strict=True)]


def _orders(errors: list[Float[Array, "*batch pixels"]]) -> list[Integer[Array, "*batch pixels"]]:
    """For each class the pixels from its largest error down."""
    worst_first = _worst_first_by_bits if errors[0].dtype == jnp.float32 else _worst_first
    if len(errors) == 2:  # but at void pixels, which do not count, both classes have the same errors
        return [worst_first(errors[0])] * 2
    return [worst_first(error) for error in errors]


def _worst_first(error: Float[Array, "*batch pixels"]) -> Integer[Array, "*batch pixels"]:
    """The pixels from the largest error down, those of equal error in the order of rows."""
    return jnp.argsort(-error, axis=-1, stable=True)


def _worst_first_by_bits(error: Float[Array, "*batch pixels"]) -> Integer[Array, "*batch pixels"]:
    """`_worst_first` of float32 errors from 0 to 2, whose bits are in the order of their values.

    XLA's CPU sorts single integers in native code, six times as fast as floats or several operands, for
    which it calls a comparison. So error and place share 64 bits, whatever the number of pixels.
    """
    falling = np.float32(2).view(np.uint32) - jax.lax.bitcast_convert_type(error, jnp.uint32)
    with jax.enable_x64(True):  # only these integers, which never leave
        place = jax.lax.broadcasted_iota(jnp.uint64, error.shape, error.ndim - 1)
        return jax.lax.sort(falling.astype(jnp.uint64) << 32 | place).astype(jnp.int32)


def _steps(
    order: Integer[Array, "*batch pixels"], y: Bool[Array, "*batch h w"], weights: Float[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """What each pixel adds to 1 - I / U when it is misclassified after all pixels ahead of it in the order.

    A pixel of the class leaves the intersection I, and one of another class joins the union U. Written as
    differences of 1 - I / U the steps would be lost to rounding.
    """
    inside, weight = (_take(jax.lax.collapse(plane, -2), order) for plane in (y, weights))
    intersection = jax.lax.cumsum(jnp.where(inside, weight, 0), axis=order.ndim - 1, reverse=True)
    ahead = jnp.cumsum(weight, axis=-1)[..., :-1]
    before = intersection + jnp.concatenate([jnp.zeros_like(weight[..., :1]), ahead], axis=-1)
    union = jnp.where(inside, before, before + weight)
    # Of a class that labels nothing, the first pixel takes I / U from 1, as 0 / 0 counts, to 0.
    ratio = jnp.where(before > 0, intersection / jnp.where(before > 0, before, 1), 1)
    step = jnp.where(inside, weight, weight * ratio) / jnp.where(union > 0, union, 1)
    return _put_back(step, order).reshape(y.shape)


@functools.partial(jnp.vectorize, signature="(n),(n)->(n)")
def _take(row: Shaped[Array, " pixels"], order: Integer[Array, " pixels"]) -> Shaped[Array, " pixels"]:
    """The pixels of a row in an order."""
    return row[order]


@functools.partial(jnp.vectorize, signature="(n),(n)->(n)")
def _put_back(row: Shaped[Array, " pixels"], order: Integer[Array, " pixels"]) -> Shaped[Array, " pixels"]:
    """The row of which `_take` makes this one."""
    return jnp.zeros_like(row).at[order].set(row, unique_indices=True)
