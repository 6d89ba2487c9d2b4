"""The balance mask: class weights times the confusion mask."""

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
) -> Float[Array, "*batch h w"]:
    """Return the product of `class_weight_mask` and `confusion_mask`.

    Args:
        labels, num_classes: see `balanced_jax.masks` (result and errors, too).
        beta, counting, floor, relative, power: see `class_weight_mask`.
        window, minimum, preserve_class_mass: see `confusion_mask`.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 2 and 8 to 10.

    >>> import numpy as np
    >>> labels = np.zeros((20, 20), np.uint8)
    >>> labels[8:12, 8:12] = 1  # four percent of the pixels, four pixels wide
    >>> mask = balance_mask(labels, 2, window=3)
    >>> [round(mask[pixel].item(), 2) for pixel in [(0, 0), (10, 10), (8, 10)]]
    [1.02, 16.09, 1.31]
    """
    class_weights = class_weight_mask(
        labels, num_classes, beta=beta, counting=counting, floor=floor, relative=relative, power=power
    )
    confusion = confusion_mask(
        labels, num_classes, window=window, minimum=minimum, preserve_class_mass=preserve_class_mass
    )
    return class_weights * confusion
