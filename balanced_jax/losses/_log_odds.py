"""Functions of the log odds of an error e, log(e / (1 - e)), in which no digits of e or 1 - e are lost."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def softplus(log_odds: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return log(1 + exp(log_odds)), the cross entropy -log(1 - e)."""
    return jax.nn.softplus(log_odds)


# The derivative of `jax.nn.softplus` reads the function's value, which would be stored for the backward pass.
softplus.defjvps(lambda tangent, _, log_odds: tangent * jax.nn.sigmoid(log_odds))


@jax.custom_jvp
def sigmoid(log_odds: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 1 / (1 + exp(-log_odds)), the error e."""
    return jax.nn.sigmoid(log_odds)


# The derivative of `jax.nn.sigmoid` is e (1 - e) of the rounded e: 0 from log odds of 17 on in float32.
sigmoid.defjvps(lambda tangent, _, log_odds: tangent * (jax.nn.sigmoid(log_odds) * jax.nn.sigmoid(-log_odds)))


def inverse_odds(log_odds: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the inverse odds (1 - e) / e of the error.

    Clipped at exp(80): beyond it the derivative of 1 / (1 + inverse odds) is inf / inf in float32. Where a
    derivative divides by 1 + inverse odds, the division should come last: XLA:CPU stores the result of a
    division rather than compute it twice, and then stores nothing else for that derivative.
    """
    return jnp.exp(jnp.minimum(-log_odds, 80))
