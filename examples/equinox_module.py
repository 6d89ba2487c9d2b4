"""The balanced loss with equinox, whose layers take one image with its channels first."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


class Network(eqx.Module):
    hidden: eqx.nn.Conv2d
    out: eqx.nn.Conv2d

    def __init__(self, key):
        hidden, out = jax.random.split(key)
        self.hidden = eqx.nn.Conv2d(1, 8, 3, padding=1, key=hidden)
        self.out = eqx.nn.Conv2d(8, 3, 1, key=out)

    def __call__(self, image):
        return self.out(jax.nn.relu(self.hidden(image)))


def objective(network, images, labels):
    logits = jnp.moveaxis(jax.vmap(network)(images), 1, -1)  # [B, C, H, W] to [B, H, W, C]
    cost = balanced_loss(logits, labels, window=3)
    return masked_mean(cost, valid_mask(labels, 3))


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    images = jnp.moveaxis(images, -1, 1)
    network = Network(jax.random.key(0))
    optimizer = optax.adam(3e-2)
    state = optimizer.init(eqx.filter(network, eqx.is_array))

    @eqx.filter_jit
    def step(network, state):
        loss, gradient = eqx.filter_value_and_grad(objective)(network, images, labels)
        updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(network, updates), state, loss

    losses = []
    for _ in range(steps):
        network, state, loss = step(network, state)
        losses.append(loss.item())
    return losses
