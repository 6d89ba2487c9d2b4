"""The balanced loss with flax linen and its TrainState, as for the networks of `balanced_jax.models`."""

import jax
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


class Network(nn.Module):
    @nn.compact
    def __call__(self, images, *, train):
        features = nn.BatchNorm(use_running_average=not train)(nn.Conv(8, (3, 3))(images))
        return nn.Conv(3, (1, 1))(nn.relu(features))


class State(TrainState):
    batch_stats: dict  # running statistics of the norms


@jax.jit
def step(state, images, labels):
    def objective(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, changed = state.apply_fn(variables, images, train=True, mutable="batch_stats")
        cost = balanced_loss(logits, labels, window=3)
        return masked_mean(cost, valid_mask(labels, 3)), changed["batch_stats"]

    (loss, batch_stats), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradient, batch_stats=batch_stats), loss


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    network = Network()
    variables = network.init(jax.random.key(0), images, train=False)
    state = State.create(apply_fn=network.apply, tx=optax.adam(3e-2), **variables)
    losses = []
    for _ in range(steps):
        state, loss = step(state, images, labels)
        losses.append(loss.item())
    return losses
