"""Losses of regions, each as a map of what every pixel adds to it."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import constant
from balanced_jax.losses._region import cost, counted, outcomes, pixels, varying_like
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

    The gradient is a `jax.custom_vjp`: reverse mode works, repeatedly too, forward mode (`jax.jvp`,
    `jax.jacfwd`, `jax.hessian`) raises a TypeError; take `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Milletari et al. 2016, arXiv:1606.04797, with p in the place of p squared in the denominator.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(dice_loss(background, labels).mean().item(), 3)  # the defect is missed: (1 + 1 / 31) / 2
    0.516
    """
    return _tversky(
        logits,
        labels,
        weights,
        alpha=0.5,
        beta=0.5,
        classes=classes,
        smoothing=smoothing,
    )


def iou_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """One minus intersection over union, shared out among the pixels.

    A class costs 1 - S(py) / (S(p) + S(y) - S(py)), with the letters of `dice_loss` and, like it, as a map
    whose mean over the non-void pixels (`masked_mean`) is that value. It is Jaccard's index made soft, and
    a function of the Dice loss d of the class, 2d / (1 + d): steeper where the overlap is good.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts, at least 0; enters the sums as well, as in `dice_loss`. Ignored at
            void pixels.
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

    The gradient is a `jax.custom_vjp`: reverse mode works, repeatedly too, forward mode (`jax.jvp`,
    `jax.jacfwd`, `jax.hessian`) raises a TypeError; take `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(iou_loss(background, labels).mean().item(), 3)  # the defect is missed: (1 + 4 / 64) / 2
    0.531
    """
    return _tversky(
        logits,
        labels,
        weights,
        alpha=1.0,
        beta=1.0,
        classes=classes,
        smoothing=smoothing,
    )


def tversky_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    alpha: ScalarLike = 0.5,
    beta: ScalarLike = 0.5,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Dice with a price of its own for false alarms and for misses, shared out among the pixels.

    A class costs 1 - T / (T + alpha F + beta M) with the true T = S(py), the false alarms F = S(p(1 - y))
    and the missed M = S((1 - p)y), in the letters of `dice_loss` and, like it, as a map whose mean over the
    non-void pixels (`masked_mean`) is that value. Halves make it Dice, ones intersection over union; a
    beta above alpha raises recall.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts, at least 0; enters the sums as well, as in `dice_loss`. Ignored at
            void pixels.
        alpha: price of a false alarm, above 0. May be traced.
        beta: price of a miss, above 0. May be traced.
        classes: which classes are averaged in an image: "present" are those that label a pixel of weight
            above 0, "all" every one.
        smoothing: under "all", a class that labels nothing costs f / (f + smoothing), f its mean
            probability; above 0. May be traced. Classes that are present are not smoothed.

    Returns:
        Share of each pixel, at least 0; float32, or float64 for float64 logits. An image without a pixel
        of weight above 0 costs 0.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, an unknown `classes`, or an alpha, a
            beta or a smoothing that is not above 0.

    Numbers are constants to differentiation. The gradient is a `jax.custom_vjp`: reverse mode works,
    repeatedly too, forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) raises a TypeError; take
    `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Salehi et al. 2017, arXiv:1706.05721.

    >>> import numpy as np
    >>> labels = np.array([[1, 1, 0, 0]])
    >>> logits = 20 * np.eye(2, dtype=np.float32)[np.array([[1, 0, 0, 0]])]  # half of class 1 is missed
    >>> [round(tversky_loss(logits, labels, beta=beta).mean().item(), 3) for beta in (0.5, 0.9)]
    [0.267, 0.337]
    """
    return _tversky(
        logits,
        labels,
        weights,
        alpha=alpha,
        beta=beta,
        classes=classes,
        smoothing=smoothing,
    )


def focal_tversky_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    alpha: ScalarLike = 0.5,
    beta: ScalarLike = 0.5,
    gamma: ScalarLike = 0.75,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Tversky loss with an exponent on the cost of each class, shared out among the pixels.

    The cost of a class under `tversky_loss` to the power gamma, then the mean over classes. A gamma below 1
    keeps up the pull of classes that are nearly right, one above 1 turns to those that are badly wrong.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts, at least 0; enters the sums as well, as in `dice_loss`. Ignored at
            void pixels.
        alpha: price of a false alarm, above 0. May be traced.
        beta: price of a miss, above 0. May be traced.
        gamma: exponent, above 0; 1 is `tversky_loss`. It is 1 / gamma in the paper. May be traced.
        classes: which classes are averaged in an image: "present" are those that label a pixel of weight
            above 0, "all" every one.
        smoothing: under "all", a class that labels nothing costs f / (f + smoothing) before the
            power, f its mean probability; above 0. May be traced. Classes that are present are not smoothed.

    Returns:
        Share of each pixel, at least 0; float32, or float64 for float64 logits. An image without a pixel
        of weight above 0 costs 0.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, an unknown `classes`, or an alpha, a
            beta, a gamma or a smoothing that is not above 0.

    Numbers are constants to differentiation. The gradient is a `jax.custom_vjp`: reverse mode works,
    repeatedly too, forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) raises a TypeError; take
    `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Abraham and Khan 2018, arXiv:1810.07842.

    >>> import numpy as np
    >>> labels = np.array([[1, 1, 0, 0]])
    >>> logits = 20 * np.eye(2, dtype=np.float32)[np.array([[1, 0, 0, 0]])]  # half of class 1 is missed
    >>> [round(focal_tversky_loss(logits, labels, gamma=gamma).mean().item(), 3) for gamma in (1, 0.75)]
    [0.267, 0.369]
    """
    return _tversky(
        logits,
        labels,
        weights,
        alpha=alpha,
        beta=beta,
        classes=classes,
        smoothing=smoothing,
        gamma=gamma,
    )


def generalized_dice_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
) -> Float[Array, "*batch h w"]:
    """Dice of all classes in one ratio, where a class counts by the inverse square of its size.

    An image costs 1 - 2 Z(S(py)) / Z(S(p) + S(y)), with the letters of `dice_loss` and the sum Z over
    classes of weight 1 / S(y)**2, as a map whose mean over the non-void pixels (`masked_mean`) is that
    value. A class that labels nothing has weight 0.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts, at least 0; enters the sums as well, as in `dice_loss`. Ignored at
            void pixels.

    Returns:
        Share of each pixel, at least 0; float32, or float64 for float64 logits. An image without a pixel
        of weight above 0 costs 0.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, or fewer than two classes.

    The gradient is a `jax.custom_vjp`: reverse mode works, repeatedly too, forward mode (`jax.jvp`,
    `jax.jacfwd`, `jax.hessian`) raises a TypeError; take `jax.jacrev(jax.grad(f))` for a Hessian.

    References:
        Sudre et al. 2017, arXiv:1707.03237.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(generalized_dice_loss(background, labels).mean().item(), 3)  # the defect, missed, decides
    0.883
    """
    logits, labels, valid, weights = checked(logits, labels, weights)
    of = outcomes(logits, labels, varying_like(logits, weights))
    size = of.true + of.missed
    # The inverse squares, scaled so that the largest, that of the smallest class, is 1: they fit float32.
    smallest = jnp.min(size, axis=-1, where=size > 0, initial=jnp.inf, keepdims=True)
    by_class = jnp.where(size > 0, smallest / jnp.where(size > 0, size, 1), 0) ** 2
    whole = jnp.sum(by_class * (2 * of.true + of.false + of.missed), axis=-1, keepdims=True)
    share = pixels(valid, logits.dtype)[..., 0] * by_class / jnp.where(whole > 0, whole, 1)
    return jnp.where(valid, weights * cost(logits, labels, share, share), 0)


def _tversky(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    weights: Float[ArrayLike, "*batch h w"] | None,
    *,
    alpha: ScalarLike,
    beta: ScalarLike,
    classes: Literal["present", "all"],
    smoothing: ScalarLike,
    gamma: ScalarLike | None = None,
) -> Float[Array, "*batch h w"]:
    """One minus the Tversky index, or a power of that, averaged over classes, as a map."""
    logits, labels, valid, weights = checked(logits, labels, weights)
    alpha = constant("alpha", alpha, lambda a: a > 0, "above 0", logits.dtype)
    beta = constant("beta", beta, lambda b: b > 0, "above 0", logits.dtype)
    smoothing = constant("smoothing", smoothing, lambda s: s > 0, "above 0", logits.dtype)
    of = outcomes(logits, labels, varying_like(logits, weights))
    size = of.true + of.missed
    labelled = size > 0

    price = jnp.where(labelled, alpha, 1)
    wrong = price * of.false + beta * of.missed
    total = wrong + jnp.where(labelled, of.true, smoothing * jnp.sum(size, axis=-1, keepdims=True))
    total = jnp.where(total > 0, total, 1)
    share = pixels(valid, logits.dtype)[..., 0] * counted(labelled, classes, logits.dtype) / total
    if gamma is not None:
        gamma = constant("gamma", gamma, lambda g: g > 0, "above 0", logits.dtype)
        index = wrong / total
        # By the logarithm, since the derivative of index ** (gamma - 1) overflows where the index is tiny; at
        # 0, where it is infinite, nothing is left to be improved.
        share *= jnp.where(index > 0, jnp.exp((gamma - 1) * jnp.log(jnp.where(index > 0, index, 1))), 0)
    return jnp.where(valid, weights * cost(logits, labels, price * share, beta * share), 0)
