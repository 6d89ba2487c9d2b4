"""Weighted costs."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def weigh(cost: Float[Array, "*shape"], weights: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return weights times cost; 0, not NaN, where a weight of 0 meets an infinite cost."""
    return jnp.where(weights == 0, 0, weights * cost)


# The derivative of `where` by a weight of 0 is 0, not the cost.
weigh.defjvps(
    lambda tangent, _, cost, weights: weights * tangent,
    lambda tangent, _, cost, weights: cost * tangent,
)
