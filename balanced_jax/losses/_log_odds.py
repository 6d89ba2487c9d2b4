"""What losses of one label are made of: functions of the log odds of its error."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def surprise(odds: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """-log(1 - e) of an error e, by log(e / (1 - e))."""
    return jax.nn.softplus(odds)


# The derivative that softplus brings along reads its value, which would be kept in memory for it.
surprise.defjvps(lambda tangent, _, odds: tangent * jax.nn.sigmoid(odds))


def right_by_wrong(odds: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """(1 - e) / e of an error e, by log(e / (1 - e)).

    It ends at exp(80), where floats would turn derivatives of 1 / (1 + this) into infinity by infinity.
    Derivatives that divide by 1 + this, and do so last, are what a CPU keeps as one map: a division is
    never computed twice, unlike products of what was divided.
    """
    return jnp.exp(jnp.minimum(-odds, 80))
