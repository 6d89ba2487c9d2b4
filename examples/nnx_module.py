"""The balanced loss with flax nnx."""

import jax
import optax
from flax import nnx

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.out = nnx.Conv(8, 3, (1, 1), rngs=rngs)

    def __call__(self, images):
        return self.out(jax.nn.relu(self.hidden(images)))


@nnx.jit
def step(network, optimizer, images, labels):
    def objective(network):
        cost = balanced_loss(network(images), labels, window=3)
        return masked_mean(cost, valid_mask(labels, 3))

    loss, gradient = nnx.value_and_grad(objective)(network)
    optimizer.update(network, gradient)
    return loss


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(3e-2), wrt=nnx.Param)
    return [step(network, optimizer, images, labels).item() for _ in range(steps)]
