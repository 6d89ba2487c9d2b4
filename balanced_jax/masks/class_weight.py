"""Class weights from the frequency of each class in the image."""

import math
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import as_class_indices, as_constant, check_static, concrete_value
from balanced_jax._labels import class_counts, take_by_label


def class_weight_mask(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    beta: ScalarLike = 0.99,
    counting: Literal["percent", "pixels"] = "percent",
    floor: ScalarLike = 1.0,
    relative: bool = True,
    power: ScalarLike = 1.0,
) -> Float[Array, "*batch h w"]:
    """Return class weights, (1 - beta) / (1 - beta**N) for a class that covers N of the image.

    N is in percent of the non-void pixels: in pixels, all classes above a few hundred have equal weights.

    Args:
        labels, num_classes: see `balanced_jax.masks` (result and errors, too).
        beta: strength, in [0, 1): 0 weights all classes equally; towards 1 the weight tends to 1 / N. May be
            traced, like `floor` and `power`.
        counting: unit of N, "percent" of the image's non-void pixels, or "pixels".
        floor: smallest N of a class that is present, at least 0. Without a floor (0), a class of 0.1 percent
            weighs 631 times the background.
        relative: whether weights are divided by that of a class that fills the image, so that an image of one
            class has weights of 1; False gives equation 2 as printed.
        power: exponent of the weights, not in the paper: 1 gives the paper's weights, 0 weights of 1. A ramp
            from 1 to 0 removes the weighting over a run.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eq. 2.

    >>> import numpy as np
    >>> labels = np.zeros((10, 10), np.uint8)
    >>> labels[0] = 1
    >>> round(class_weight_mask(labels, 2)[0, 0].item(), 2)  # ten percent of the pixels
    6.63
    >>> class_weight_mask(labels, 2, beta=0.0)[0, 0].item()
    1.0
    """
    check_static(relative=relative)
    if counting not in ("percent", "pixels"):
        raise ValueError(f'counting must be "percent" or "pixels", got {counting!r}')
    one_minus_beta, log_beta = _complement_and_log(beta)
    floor = as_constant("floor", floor, lambda f: f >= 0, "at least 0")
    power = as_constant("power", power, math.isfinite, "finite")
    labels = as_class_indices("labels", labels, num_classes)

    counts = class_counts(labels, num_classes)
    valid = jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True, dtype=jnp.int32), 1).astype(jnp.float32)
    image_size = jnp.full_like(valid, 100) if counting == "percent" else valid
    class_size = jnp.maximum(image_size * (counts.astype(jnp.float32) / valid), floor)
    class_size = jnp.where(counts > 0, class_size, 1)  # keeps the unused weight of an absent class finite
    numerator = -jnp.expm1(image_size * log_beta) if relative else one_minus_beta
    return take_by_label((numerator / -jnp.expm1(class_size * log_beta)) ** power, labels)


def _complement_and_log(beta: ScalarLike) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return 1 - beta and log(beta), from the Python number if concrete: near 1, float32 loses its digits."""
    array = as_constant("beta", beta, lambda b: 0 <= b < 1, "in [0, 1)")
    number = concrete_value(beta)
    if number is None:
        return 1 - array, jnp.log(array)
    return jnp.float32(1 - number), jnp.float32(math.log(number) if number > 0 else -math.inf)
