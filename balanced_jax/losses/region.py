"""Region losses (Dice, intersection over union, Tversky) as maps whose mean over an image is the loss."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import PixelWeights
from balanced_jax.losses._region import SoftConfusion, region_map
from balanced_jax.losses._tversky import tversky_prices


def dice_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Compute Dice loss as a map.

    A class costs 1 - 2 S(py) / (S(p) + S(y)), where p is its softmax probability, y is 1 where it is the
    label, and S sums over the non-void pixels of one image. As this is S(p + y - 2py) / (S(p) + S(y)), the
    map holds n (p + y - 2py) / (S(p) + S(y)) at each of the n non-void pixels, averaged over classes. Values
    of the map are large where few pixels carry the whole loss.

    The sums are those of one image. For Dice loss over a whole batch make the batch one tall image:
    `dice_loss(logits.reshape(-1, width, num_classes), labels.reshape(-1, width))`.

    Args:
        logits, labels, weights, classes, smoothing: see `balanced_jax.losses` (result and errors, too).

    References:
        Milletari et al. 2016, arXiv:1606.04797, with p in the place of p squared in the denominator.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(dice_loss(background, labels).mean().item(), 3)  # the defect is missed: (1 + 1 / 31) / 2
    0.516
    """
    prices = tversky_prices(logits, 0.5, 0.5, classes, smoothing)
    return region_map(logits, labels, weights, prices)


def iou_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Compute soft intersection-over-union (Jaccard) loss as a map.

    In the symbols of `dice_loss` a class costs 1 - S(py) / (S(p) + S(y) - S(py)), which is 2d / (1 + d) for
    a Dice loss of d: steeper where the overlap is good.

    Args:
        logits, labels, weights, classes, smoothing: see `balanced_jax.losses` (result and errors, too).

    References:
        Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(iou_loss(background, labels).mean().item(), 3)  # the defect is missed: (1 + 4 / 64) / 2
    0.531
    """
    prices = tversky_prices(logits, 1.0, 1.0, classes, smoothing)
    return region_map(logits, labels, weights, prices)


def tversky_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    alpha: ScalarLike = 0.5,
    beta: ScalarLike = 0.5,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Compute Tversky loss, Dice loss with separate factors for false positives and negatives, as a map.

    A class costs 1 - T / (T + alpha F + beta M) with true positives T = S(py), false positives
    F = S(p(1 - y)) and false negatives M = S((1 - p)y), in the symbols of `dice_loss`. Factors of 0.5 give
    Dice loss, factors of 1 intersection over union; a beta above alpha raises recall.

    Args:
        logits, labels, weights, classes, smoothing: see `balanced_jax.losses` (result and errors, too).
        alpha: factor of false positives, above 0. May be traced.
        beta: factor of false negatives, above 0. May be traced.

    References:
        Salehi et al. 2017, arXiv:1706.05721.

    >>> import numpy as np
    >>> labels = np.array([[1, 1, 0, 0]])
    >>> logits = 20 * np.eye(2, dtype=np.float32)[np.array([[1, 0, 0, 0]])]  # half of class 1 is missed
    >>> [round(tversky_loss(logits, labels, beta=beta).mean().item(), 3) for beta in (0.5, 0.9)]
    [0.267, 0.337]
    """
    prices = tversky_prices(logits, alpha, beta, classes, smoothing)
    return region_map(logits, labels, weights, prices)


def focal_tversky_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    alpha: ScalarLike = 0.5,
    beta: ScalarLike = 0.5,
    gamma: ScalarLike = 0.75,
    classes: Literal["present", "all"] = "present",
    smoothing: ScalarLike = 0.1,
) -> Float[Array, "*batch h w"]:
    """Compute focal Tversky loss, the cost of each class under `tversky_loss` to the power gamma, as a map.

    A gamma below 1 steepens the loss for classes predicted well, a gamma above 1 for classes predicted badly.

    Args:
        logits, labels, weights, classes, smoothing: see `balanced_jax.losses` (result and errors, too);
            smoothing enters before the power.
        alpha, beta: see `tversky_loss`.
        gamma: exponent, above 0; 1 gives `tversky_loss`. The paper's gamma is 1 / gamma. May be traced.

    References:
        Abraham and Khan 2018, arXiv:1810.07842.

    >>> import numpy as np
    >>> labels = np.array([[1, 1, 0, 0]])
    >>> logits = 20 * np.eye(2, dtype=np.float32)[np.array([[1, 0, 0, 0]])]  # half of class 1 is missed
    >>> [round(focal_tversky_loss(logits, labels, gamma=gamma).mean().item(), 3) for gamma in (1, 0.75)]
    [0.267, 0.369]
    """
    prices = tversky_prices(logits, alpha, beta, classes, smoothing, gamma)
    return region_map(logits, labels, weights, prices)


def generalized_dice_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
) -> Float[Array, "*batch h w"]:
    """Compute generalized Dice loss, one ratio of sums over classes with weights 1 / size**2, as a map.

    In the symbols of `dice_loss` an image costs 1 - 2 Z(S(py)) / Z(S(p) + S(y)), where Z sums over classes
    with weights 1 / S(y)**2, and 0 for a class without labeled pixels.

    Args:
        logits, labels, weights: see `balanced_jax.losses` (result and errors, too).

    References:
        Sudre et al. 2017, arXiv:1707.03237.

    >>> import numpy as np
    >>> labels = np.zeros((8, 8), np.uint8)
    >>> labels[0, :4] = 1
    >>> background = np.zeros((8, 8, 2), np.float32) + np.array([20.0, 0.0], np.float32)
    >>> round(generalized_dice_loss(background, labels).mean().item(), 3)  # the missed defect dominates
    0.883
    """

    def prices(sums: SoftConfusion):
        fp, fn, size = sums
        # Inverse squares relative to the largest, that of the smallest class: they do not overflow float32.
        smallest = jnp.min(size, axis=-1, where=size > 0, initial=jnp.inf, keepdims=True)
        class_weights = jnp.where(size > 0, smallest / jnp.where(size > 0, size, 1), 0) ** 2
        denominator = jnp.sum(class_weights * (2 * sums.true_positives + fp + fn), axis=-1, keepdims=True)
        scale = class_weights / jnp.where(denominator == 0, 1, denominator)
        return scale, scale

    return region_map(logits, labels, weights, prices)
