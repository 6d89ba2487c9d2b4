"""Weights that make up for rare classes, image by image."""

import math
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import as_classes, constant, known
from balanced_jax._labels import at_label, class_pixels


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
    """Weight of each pixel by how rare its class is in its image.

    A class that covers N of the image has the weight w = (1 - beta) / (1 - beta**N). N is the share of
    the non-void pixels in percent, because in pixels every class above a few hundred gets the same weight.

    Args:
        labels: class indices; outside [0, num_classes) a pixel is void.
        num_classes: number of classes, at least 1.
        beta: strength, in [0, 1): 0 weighs all classes alike, towards 1 a class weighs 1 / N.
        counting: what N is: "percent" of the image's non-void pixels, or "pixels".
        floor: a class that is present counts as at least this much, in the unit of `counting`; at least 0.
            Without it (0) a class of .1 percent weighs 600 times the background.
        relative: divide by the weight of a class that fills the image, so that a clean image weighs 1 as
            under plain cross entropy; False is equation 2 as printed.
        power: exponent on the weights, ours: 1 is the paper's weight, 0 none; ramp it from 1 to 0 to relax
            the weights over a run.

    Returns:
        Weights above 0 in float32, 0 at void pixels. Constant to differentiation.

    Raises:
        TypeError: labels are not integers.
        ValueError: beta outside [0, 1), floor below 0, an unknown `counting`, num_classes below 1, or
            labels with fewer than two axes.

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
    if counting not in ("percent", "pixels"):
        raise ValueError(f'counting must be "percent" or "pixels", got {counting!r}')
    one_minus_beta, log_beta = _logarithm(beta)
    floor = constant("floor", floor, lambda f: f >= 0, "at least 0")
    power = constant("power", power, math.isfinite, "finite")
    labels = as_classes("labels", labels, num_classes)

    pixels = class_pixels(labels, num_classes)
    valid = jnp.maximum(jnp.sum(pixels, axis=-1, keepdims=True, dtype=jnp.int32), 1).astype(jnp.float32)
    full = jnp.full_like(valid, 100) if counting == "percent" else valid
    covered = jnp.maximum(full * (pixels / valid), floor)
    covered = jnp.where(pixels > 0, covered, 1)  # keeps the unused weight of an absent class finite
    reference = -jnp.expm1(full * log_beta) if relative else one_minus_beta
    return at_label((reference / -jnp.expm1(covered * log_beta)) ** power, labels)


def _logarithm(beta: ScalarLike) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """1 - beta and log(beta), from the number itself where it is known: near 1 float32 would lose it."""
    traced = constant("beta", beta, lambda b: 0 <= b < 1, "in [0, 1)")
    number = known(beta)
    if number is None:
        return 1 - traced, jnp.log(traced)
    return jnp.float32(1 - number), jnp.float32(math.log(number) if number > 0 else -math.inf)
