"""Intersection over union itself, made continuous, as a map of what every pixel adds to it."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Integer, Shaped

from balanced_jax.losses._softmax import checked
from balanced_jax.losses.region import counted, pixels


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
    logits, labels, valid, counts = checked(logits, labels, weights)
    y = [labels == k for k in range(logits.shape[-1])]
    labelled = jnp.stack([jnp.any(own & (counts > 0), axis=(-2, -1)) for own in y], axis=-1)
    part = counted(labelled, classes, counts.dtype)
    steps = [
        part[..., k, None, None] * _steps(order, own, counts, alike=weights is None)
        for k, (order, own) in enumerate(
            zip(_orders(jax.lax.stop_gradient(logits), y, valid), y, strict=True)
        )
    ]
    # The label's error is the sum of the other probabilities, so each of these is priced at two steps.
    label_step = sum(jnp.where(own, step, 0) for own, step in zip(y, steps, strict=True))
    prices = [jnp.where(own, 0, step + label_step) for own, step in zip(y, steps, strict=True)]
    return jnp.where(valid, pixels(valid, counts.dtype) * _expected(logits, prices), 0)


def _softmax(logits: Float[Array, "*batch h w classes"]) -> list[Float[Array, "*batch h w"]]:
    """Probability of each class, plane by plane: a CPU makes one loop of sums of planes, not of a short axis."""
    planes = [logits[..., k] for k in range(logits.shape[-1])]
    top = jax.lax.stop_gradient(functools.reduce(jnp.maximum, planes))
    odds = [jnp.exp(plane - top) for plane in planes]
    total = sum(odds)
    return [odd / total for odd in odds]


@jax.custom_jvp
def _expected(
    logits: Float[Array, "*batch h w classes"], prices: list[Float[Array, "*batch h w"]]
) -> Float[Array, "*batch h w"]:
    """Mean of the classes' prices by their softmax probabilities; prices are constants to differentiation."""
    return _mean(_softmax(logits), prices)


@_expected.defjvp
def _expected_jvp(primals, tangents):
    logits, prices = primals
    p = _softmax(logits)
    # The slope at class k is p (price - mean price). A step of one pixel can be the whole loss, and of a class
    # that is nearly certain this would lose what is left: there, prices count from that of the likeliest class.
    likeliest = functools.reduce(jnp.maximum, p)
    base = jnp.select([q == likeliest for q in p], prices)
    above = [price - base for price in prices]
    mean = _mean(p, above)
    slope = jnp.stack([q * (price - mean) for q, price in zip(p, above, strict=True)], axis=-1)
    return _mean(p, prices), jnp.sum(slope * tangents[0], axis=-1)


def _mean(
    p: list[Float[Array, "*batch h w"]], values: list[Float[Array, "*batch h w"]]
) -> Float[Array, "*batch h w"]:
    """Mean of values by the probabilities of their classes."""
    return functools.reduce(jnp.add, [q * value for q, value in zip(p, values, strict=True)])


def _orders(
    logits: Float[Array, "*batch h w classes"],
    y: list[Bool[Array, "*batch h w"]],
    valid: Bool[Array, "*batch h w"],
) -> list[Integer[Array, "*batch pixels"]]:
    """For each class its pixels from the largest error down, void ones last."""
    p = _softmax(logits)
    # 1 - p would lose the last of it to rounding.
    missed = sum(jnp.where(own, 0, q) for own, q in zip(y, p, strict=True))
    if len(p) == 2:  # both classes have the same errors
        p, y = p[:1], y[:1]
    errors = [jnp.where(valid, jnp.where(own, missed, q), -1) for own, q in zip(y, p, strict=True)]
    sort = _worst_first_by_bits if logits.dtype == jnp.float32 else _worst_first
    orders = [sort(jax.lax.collapse(error, error.ndim - 2)) for error in errors]
    return orders * 2 if len(orders) == 1 else orders


def _worst_first(error: Float[Array, "*batch pixels"]) -> Integer[Array, "*batch pixels"]:
    """Where the pixels are from the largest error down, those of equal error in the order they have."""
    return jnp.argsort(-error, axis=-1, stable=True)


def _worst_first_by_bits(error: Float[Array, "*batch pixels"]) -> Integer[Array, "*batch pixels"]:
    """`_worst_first` of float32 errors below 2, of which those below 0 are equal.

    Such errors are in the order of their bits. On a CPU, XLA calls a comparator of its own making for each pair of
    floats or of several operands, but sorts plain integers natively, 6 times as fast: so the place goes into the
    low half of an integer of 64 bits, for any number of pixels. Without x64 mode these exist inside the scope alone.
    """
    bits = jax.lax.bitcast_convert_type(error, jnp.uint32)
    with jax.enable_x64(True):
        place = jax.lax.broadcasted_iota(jnp.uint64, error.shape, error.ndim - 1)
        falling = (jnp.uint32(0x40000000) - bits).astype(jnp.uint64)
        return jax.lax.sort(falling << 32 | place).astype(jnp.int32)


def _steps(
    order: Integer[Array, "*batch pixels"],
    y: Bool[Array, "*batch h w"],
    weights: Float[Array, "*batch h w"],
    alike: bool,
) -> Float[Array, "*batch h w"]:
    """What each pixel adds to 1 - I / U when it is misclassified after all pixels before it in the order.

    A pixel of the class leaves the intersection I, and one of another class joins the union U. Written as
    differences of 1 - I / U the steps would be lost to rounding. Where all weights are `alike`, 1 but at void
    pixels, which are last, the order itself counts the pixels before; what void ones get means nothing.
    """
    inside = _take(jax.lax.collapse(y, y.ndim - 2), order)
    if alike:
        weight = jnp.ones(order.shape, weights.dtype)
        before = jax.lax.broadcasted_iota(weights.dtype, order.shape, order.ndim - 1)
    else:
        weight = _take(jax.lax.collapse(weights, weights.ndim - 2), order)
        before = jnp.cumsum(weight, axis=-1)[..., :-1]
        before = jnp.concatenate([jnp.zeros_like(weight[..., :1]), before], axis=-1)
    # Pixels of the class from this one on, and with those before it all that is of the class or taken for it.
    intersection = jax.lax.cumsum(jnp.where(inside, weight, 0), axis=order.ndim - 1, reverse=True)
    union = intersection + before
    # Of a class that labels nothing, the first pixel takes I / U from 1, as 0 / 0 counts, to 0.
    ratio = jnp.where(inside | (union == 0), 1, intersection / jnp.where(union > 0, union, 1))
    after = jnp.where(inside, union, union + weight)
    return _put(weight * ratio / jnp.where(after > 0, after, 1), order).reshape(y.shape)


@functools.partial(jnp.vectorize, signature="(n),(n)->(n)")
def _take(row: Shaped[Array, " pixels"], order: Integer[Array, " pixels"]) -> Shaped[Array, " pixels"]:
    """A row in an order."""
    return row[order]


@functools.partial(jnp.vectorize, signature="(n),(n)->(n)")
def _put(row: Shaped[Array, " pixels"], order: Integer[Array, " pixels"]) -> Shaped[Array, " pixels"]:
    """What is a row in an order, back in place."""
    return jnp.zeros_like(row).at[order].set(row, unique_indices=True)
