"""The balanced loss with haiku."""

import haiku as hk
import jax
import optax

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


@hk.without_apply_rng
@hk.transform
def network(images):
    return hk.Conv2D(3, 1)(jax.nn.relu(hk.Conv2D(8, 3)(images)))


def objective(params, images, labels):
    cost = balanced_loss(network.apply(params, images), labels, window=3)
    return masked_mean(cost, valid_mask(labels, 3))


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    optimizer = optax.adam(3e-2)

    @jax.jit
    def step(params, state):
        loss, gradient = jax.value_and_grad(objective)(params, images, labels)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    params = network.init(jax.random.key(0), images)
    state = optimizer.init(params)
    losses = []
    for _ in range(steps):
        params, state, loss = step(params, state)
        losses.append(loss.item())
    return losses
