"""The balanced loss in a plain training loop with optax; the labels are one-hot."""

import jax
import jax.numpy as jnp
import optax

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


def network(params, images):
    """Return logits [B, H, W, 3] of images [B, H, W, 1]: two convolutions."""
    layout = ("NHWC", "HWIO", "NHWC")
    hidden = jax.lax.conv_general_dilated(images, params["hidden"], (1, 1), "SAME", dimension_numbers=layout)
    return jax.nn.relu(hidden) @ params["out"]


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    one_hot = jax.nn.one_hot(labels, 3)  # zeros at void pixels
    optimizer = optax.adam(3e-2)

    def objective(params):
        # argmax takes a row of zeros for class 0.
        labels = jnp.where(one_hot.any(-1), one_hot.argmax(-1), 255)
        cost = balanced_loss(network(params, images), labels, window=3)
        return masked_mean(cost, valid_mask(labels, 3))

    @jax.jit
    def step(params, state):
        loss, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    hidden, out = jax.random.split(jax.random.key(0))
    params = {
        "hidden": 0.3 * jax.random.normal(hidden, (3, 3, 1, 8)),
        "out": 0.3 * jax.random.normal(out, (8, 3)),
    }
    state = optimizer.init(params)
    losses = []
    for _ in range(steps):
        params, state, loss = step(params, state)
        losses.append(loss.item())
    return losses
