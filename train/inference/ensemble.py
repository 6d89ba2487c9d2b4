"""The mean of the probabilities of several networks, as one network that inference takes like any other."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from train.training.state import State, state_from_variables, variables_of


class Ensemble(nn.Module):
    """A network whose logits are the logarithm of the mean of its members' probabilities.

    The softmax of these logits is the mean. Where logits are resized to the image, those of the mean are.
    """

    members: tuple[nn.Module, ...]
    """Networks with the same input and the same classes; their other fields may differ."""
    num_classes: int = 2
    """Number of classes of each member."""

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Return logits, float32 [b, h, w, num_classes], of images [b, h, w, channels]."""
        logits = jnp.stack([member(images, train=train) for member in self.members])
        total = jax.nn.logsumexp(jax.nn.log_softmax(logits, axis=-1), axis=0)
        return total - math.log(len(self.members))


def ensemble_state(states: Sequence[State]) -> State:
    """Return the state of an Ensemble from those of its members for inference."""
    variables: dict[str, dict] = {}
    for number, state in enumerate(states):
        for collection, values in variables_of(state).items():
            variables.setdefault(collection, {})[f"members_{number}"] = values
    return state_from_variables(variables, optax.identity(), ema=None)
