"""Both of the paper's masks in one."""

from typing import Literal

from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax.masks.class_weight import class_weight_mask
from balanced_jax.masks.confusion import confusion_mask


def balance_mask(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    beta: ScalarLike = 0.99,
    window: int = 7,
    counting: Literal["percent", "pixels"] = "percent",
    floor: ScalarLike = 1.0,
    relative: bool = True,
    power: ScalarLike = 1.0,
    minimum: ScalarLike = 0.0,
    preserve_class_mass: bool = False,
    method: Literal["conv", "packed"] | None = None,
) -> Float[Array, "*batch h w"]:
    """Weight of each pixel by the rarity of its class and the purity of its surroundings.

    The product of `class_weight_mask` and `confusion_mask`, for the `weights` of any loss.

    Args:
        labels: class indices; outside [0, num_classes) a pixel is void.
        num_classes: number of classes, at least 2.
        beta: strength of the class weights, in [0, 1); see `class_weight_mask`, as for the next four.
        window: side of the confusion window in pixels, odd and at least 3; see `confusion_mask`, as for
            the last three.
        counting: "percent" or "pixels".
        floor: least count of a class that is present, at least 0.
        relative: whether a class that fills the image weighs 1.
        power: exponent on the class weights.
        minimum: least weight of the confusion mask, in [0, 1].
        preserve_class_mass: whether the confusion mask has mean 1 over each class of the image.
        method: "conv", "packed", or None for the platform's faster one.

    Returns:
        Weights of at least 0 in float32, 0 at void pixels. Constant to differentiation.

    Raises:
        TypeError, ValueError: as the two masks do.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 2 and 8 to 10.

    >>> import numpy as np
    >>> labels = np.zeros((20, 20), np.uint8)
    >>> labels[8:12, 8:12] = 1  # four percent of the pixels, four pixels wide
    >>> mask = balance_mask(labels, 2, window=3)
    >>> [round(mask[place].item(), 2) for place in [(0, 0), (10, 10), (8, 10)]]
    [1.02, 16.09, 1.31]
    """
    rarity = class_weight_mask(
        labels, num_classes, beta=beta, counting=counting, floor=floor, relative=relative, power=power
    )
    purity = confusion_mask(
        labels,
        num_classes,
        window=window,
        minimum=minimum,
        preserve_class_mass=preserve_class_mass,
        method=method,
    )
    return rarity * purity
