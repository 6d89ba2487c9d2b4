"""The mean of the probabilities of several networks as one network."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train.inference.ensemble import Ensemble, ensemble_state
from train.training.state import state_from_variables, variables_of

RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.normal(0, 1, (2, 6, 5, 2)), jnp.float32)


class Pointwise(nn.Module):
    """A network with or without running statistics."""

    norm: bool

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Dense(3)(images)
        return nn.BatchNorm(use_running_average=not train)(x) if self.norm else x


class Constant(nn.Module):
    """A network that gives every pixel the same logits."""

    logits: tuple[float, ...]

    def __call__(self, images, *, train):
        return jnp.broadcast_to(jnp.array(self.logits), (*images.shape[:-1], len(self.logits)))


def random_state(network):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), IMAGES, train=False))
    variables = jax.tree.map(lambda x: jnp.asarray(RNG.uniform(0.5, 3, x.shape), x.dtype), shapes)
    return state_from_variables(variables, optax.identity(), ema=None)


def probabilities(network, state):
    return jax.nn.softmax(network.apply(variables_of(state), IMAGES, train=False))


@pytest.mark.parametrize("norms", [(False,), (True,), (True, False, True)])
def test_the_probabilities_are_the_mean_of_those_of_the_members(norms):
    members = tuple(map(Pointwise, norms))
    states = list(map(random_state, members))
    each = [probabilities(*pair) for pair in zip(members, states, strict=True)]
    result = probabilities(Ensemble(members, 3), ensemble_state(states))
    np.testing.assert_allclose(result, np.mean(each, 0, np.float64), rtol=0, atol=1e-6)
    assert all(np.abs(result - one).max() > 0.05 for one in each) == (len(norms) > 1)


def test_logits_tell_apart_probabilities_that_round_to_0():
    members = Constant((1e4, 0.0, -1e4)), Constant((200.0, 0.0, -100.0))
    logits: Any = Ensemble(members, 3).apply({}, jnp.zeros((1, 1)), train=False)
    expected = np.array([0, -200, -300]) - np.log([1, 2, 2])
    np.testing.assert_allclose(logits[0], expected, rtol=1e-6)
