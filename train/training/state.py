"""The state of a training run: everything that a step changes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class State:
    """A tree of arrays, stored in checkpoints."""

    step: jax.Array
    """Steps taken, int32."""
    nonfinite: jax.Array
    """Steps with a non-finite loss or gradient, which changed nothing else, int32."""
    params: Any
    collections: Any
    """Other variables of the network: the running statistics of its norms."""
    optimizer: Any
    """State of the optimizer."""
    average: Any = None
    """EMA of `(params, collections)`, where the run has one."""


def initial_state(
    model: nn.Module,
    transformation: optax.GradientTransformation,
    shape: tuple[int, ...],
    seed: int,
    ema: float | None = None,
) -> State:
    """Return the state before the first step, from random parameters.

    Args:
        model: the network.
        transformation: the optimizer.
        shape: [batch, height, width, channels] of the input of the network.
        seed: of the parameters.
        ema: decay of the EMA of the parameters; None for no EMA.
    """
    variables = model.init(jax.random.key(seed), jnp.zeros(shape), train=False)
    return state_from_variables(variables, transformation, ema)


def state_from_variables(
    variables: Mapping[str, Any], transformation: optax.GradientTransformation, ema: float | None
) -> State:
    """Return the state before the first step, from given variables; other arguments as `initial_state`."""
    collections = dict(variables)
    params = collections.pop("params")
    # Copies, because a step donates the memory of its state, and no array can be donated twice.
    average = None if ema is None else jax.tree.map(jnp.copy, (params, collections))
    return State(jnp.int32(0), jnp.int32(0), params, collections, transformation.init(params), average)


def variables_of(state: State) -> dict[str, Any]:
    """Return the variables of the network, by collection."""
    return {"params": state.params, **state.collections}


def inference_state(state: State) -> State:
    """Return the state for inference: no optimizer, and the EMA in place of parameters if there is one."""
    params, collections = state.average or (state.params, state.collections)
    return dataclasses.replace(state, params=params, collections=collections, optimizer=(), average=None)
