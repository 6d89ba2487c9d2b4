"""The balanced loss as a loss of kauldron, whose labels have a last axis of 1.

A loss of kauldron is the mean of its values over all pixels. `masked_mean` is taken before, so that images
count equally, however many void pixels they have. A `kd.train.Trainer`, which imports TensorFlow, takes
`train_losses={"balanced": Balanced(logits="preds.logits", labels="batch.label")}`; here is a loop without it.
"""

import dataclasses

import jax
import optax
from flax import linen as nn
from kauldron import kd, kontext

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import valid_mask


@dataclasses.dataclass(frozen=True, eq=True, kw_only=True)
class Balanced(kd.losses.Loss):
    logits: kontext.Key = kontext.REQUIRED
    labels: kontext.Key = kontext.REQUIRED

    def get_values(self, logits, labels):
        labels = labels[..., 0]
        cost = balanced_loss(logits, labels, window=3)
        return masked_mean(cost, valid_mask(labels, logits.shape[-1]))


def train(images, labels, steps):
    """Train on images [B, H, W, 1] and labels [B, H, W]; return the loss of every step."""
    batch = {"image": images, "label": labels[..., None]}  # as a pipeline of kauldron hands it
    network = nn.Sequential([nn.Conv(8, (3, 3)), nn.relu, nn.Conv(3, (1, 1))])
    balanced = Balanced(logits="preds", labels="batch.label")
    optimizer = optax.adam(3e-2)

    def objective(params):
        context = {"preds": network.apply(params, images), "batch": batch, "step": 0}
        return balanced.get_state_from_context(context).compute()

    @jax.jit
    def step(params, state):
        loss, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    params = network.init(jax.random.key(0), images)
    state = optimizer.init(params)
    losses = []
    for _ in range(steps):
        params, state, loss = step(params, state)
        losses.append(loss.item())
    return losses
