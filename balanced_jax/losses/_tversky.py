"""The Tversky index, of which Dice and intersection over union are cases, as prices of a region loss."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Float, ScalarLike

from balanced_jax._arguments import as_constant, at_least_float32
from balanced_jax.losses._region import Prices, SoftConfusion, class_mean_weights


def tversky_prices(
    logits: Float[ArrayLike, "*batch h w classes"],
    alpha: ScalarLike,
    beta: ScalarLike,
    classes: Literal["present", "all"],
    smoothing: ScalarLike,
    gamma: ScalarLike | None = None,
) -> Prices:
    """Return the prices of one minus the Tversky index, to the power gamma, averaged over classes."""
    dtype = at_least_float32(jnp.result_type(logits))
    alpha = as_constant("alpha", alpha, lambda a: a > 0, "above 0", dtype)
    beta = as_constant("beta", beta, lambda b: b > 0, "above 0", dtype)
    smoothing = as_constant("smoothing", smoothing, lambda s: s > 0, "above 0", dtype)
    if gamma is not None:
        gamma = as_constant("gamma", gamma, lambda g: g > 0, "above 0", dtype)

    def prices(sums: SoftConfusion):
        fp, fn, size = sums
        labeled = size > 0
        fp_cost = jnp.where(labeled, alpha, 1)
        numerator = fp_cost * fp + beta * fn
        smoothed = smoothing * jnp.sum(size, axis=-1, keepdims=True)
        denominator = numerator + jnp.where(labeled, sums.true_positives, smoothed)
        denominator = jnp.where(denominator == 0, 1, denominator)
        scale = class_mean_weights(labeled, classes, dtype) / denominator
        if gamma is not None:
            class_cost = numerator / denominator
            # class_cost ** (gamma - 1) as exp((gamma - 1) log(cost)), since the derivative of ** overflows at
            # tiny costs; so would the logarithm's second derivative without the factor that makes them 1.
            # At 0, where the power is infinite for gamma below 1, the class is perfect and has no gradient.
            perfect = class_cost < jnp.finfo(dtype).tiny
            positive_cost = jnp.where(perfect, 1, class_cost)
            factor = jax.lax.stop_gradient(1 / positive_cost)
            log_cost = jnp.log(positive_cost * factor) - jnp.log(factor)
            scale *= jnp.where(perfect, 0, jnp.exp((gamma - 1) * log_cost))
        return fp_cost * scale, beta * scale

    return prices
