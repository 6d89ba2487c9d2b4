"""One training step, a pure function under the mapped axis `AXIS` of the devices that share a batch."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from balanced_jax.masks import valid_mask
from train.config import Augmentation, Input, Term
from train.parallel import AXIS
from train.training.augment import augment
from train.training.objective import AUXILIARY, term_sums
from train.training.state import State

_AUXILIARY_WEIGHT = 0.4
"""Weight of the objective on auxiliary logits: Zhao et al. 2017, arXiv:1612.01105."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training step."""

    input: Input
    """How pixel values are normalized."""
    steps: int
    """Length of the whole run."""
    seed: int
    """Seed of augmentation and dropout."""
    skip: int = 0
    """Steps of the run that may be skipped because they are not finite."""
    ema: float | None = None
    """Decay of the EMA of the parameters; None for no EMA."""
    accumulation: int = 1
    """Micro-batches that the images of a device are processed in, one after the other, to save memory. The
    step is the same, but for norms, which take their statistics over a micro-batch."""


class StepReport(NamedTuple):
    """Measurements of one step, equal on all devices."""

    terms: dict[str, jax.Array]
    """The loss of each term."""
    gradient_norm: jax.Array
    """Euclidean norm of the gradient, float32; not finite where any part of the gradient, or the loss, is
    not."""
    nonfinite: jax.Array
    """Steps of the run so far that were not finite, int32, this step included."""


def train_step(
    state: State,
    batch: Mapping[str, jax.Array],
    *,
    model: nn.Module,
    transformation: optax.GradientTransformation,
    objective: Mapping[str, Term],
    augmentation: Augmentation,
    recipe: Recipe,
) -> tuple[State, StepReport]:
    """Take one step along the gradient of the objective's mean over all images that have labeled pixels.

    A step whose loss or gradient is not finite changes nothing but the step counter and the count of such
    steps. After more than `recipe.skip` such steps the state is frozen, step counter included.

    Args:
        state: equal on all devices.
        batch: of this device: `image` uint8 [b, h, w, c], `label` uint8 [b, h, w], `index` int32 [b] and
            `masks`, precomputed masks [b, h, w] by the names of their terms.
        model: the network, with `axis_name=AXIS`. Logits that it keeps in the collection `auxiliary` make one
            more term of that name.
        transformation: the optimizer.
        objective: the terms of the loss.
        augmentation: random changes of the images.
        recipe: the numbers of the step.

    Returns:
        The next state and the report, both equal on all devices.
    """
    # Keys follow from the position of an example in the run, so they are the same on any number of devices.
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(recipe.seed), batch["index"])
    images, labels, masks = jax.vmap(augment, (0, 0, 0, None, 0))(
        keys, batch["image"] / 255.0, batch["label"].astype(jnp.int32), augmentation, batch["masks"]
    )
    labeled = valid_mask(labels, model.num_classes).any((1, 2))
    count = jnp.maximum(jax.lax.psum(labeled.sum(), AXIS), 1)

    def loss(params, collections, images, labels, masks, index):
        logits, collections = model.apply(
            {"params": params, **collections, "examples": {"index": index}},
            recipe.input.normalize(images),
            train=True,
            mutable=[*collections, AUXILIARY],
            rngs={"dropout": jax.random.key(recipe.seed)},
        )
        collections = dict(collections)
        auxiliary_logits = jax.tree.leaves(collections.pop(AUXILIARY, {}))

        # Sums divided by the images of all devices and micro-batches: a mean of the devices' means would
        # weight an image by the number of labeled images on its device.
        def divided_sums(logits):
            sums = term_sums(objective, logits, labels, state.step / recipe.steps, masks)
            return {name: total / count for name, total in sums.items()}

        terms = divided_sums(logits)
        if auxiliary_logits:
            auxiliary = [total for logits in auxiliary_logits for total in divided_sums(logits).values()]
            terms[AUXILIARY] = _AUXILIARY_WEIGHT * jnp.stack(auxiliary).sum()
        return sum(terms.values()), (terms, collections)

    def gradient_of(collections, examples):
        gradient, (terms, collections) = jax.grad(loss, has_aux=True)(state.params, collections, *examples)
        return collections, (gradient, terms)

    examples = images, labels, masks, batch["index"]
    if recipe.accumulation == 1:
        collections, sums = gradient_of(state.collections, examples)
    else:
        micro_batches = jax.tree.map(lambda x: x.reshape(recipe.accumulation, -1, *x.shape[1:]), examples)
        collections, sums = _scan_sum(gradient_of, state.collections, micro_batches)
    gradient, terms = jax.lax.psum(sums, AXIS)
    # A non-finite loss may have a finite gradient; 0 times the loss is then NaN.
    norm = optax.tree.norm(gradient) + 0 * sum(terms.values())
    updates, optimizer = transformation.update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if recipe.ema is not None:
        weight = _ema_weight(recipe.ema, state.step + 1 - state.nonfinite)
        average = optax.incremental_update((params, collections), average, weight)
    nonfinite = state.nonfinite + ~jnp.isfinite(norm)
    running = nonfinite <= recipe.skip
    new = State(state.step, nonfinite, params, collections, optimizer, average)
    kept = jax.tree.map(functools.partial(jnp.where, running & jnp.isfinite(norm)), new, state)
    next_state = dataclasses.replace(kept, step=state.step + running, nonfinite=nonfinite)
    return next_state, StepReport(terms, norm, nonfinite)


def _scan_sum(function: Callable, carry: Any, parts: Any) -> tuple[Any, Any]:
    """Scan `(carry, part) -> (carry, values)` over parts; return the last carry and the sum of the values."""
    first = jax.tree.map(lambda x: x[0], parts)
    _, values = jax.eval_shape(function, carry, first)

    def add(accumulated, part):
        carry, sums = accumulated
        carry, values = function(carry, part)
        return (carry, jax.tree.map(jnp.add, sums, values)), None

    return jax.lax.scan(add, (carry, optax.tree.zeros_like(values)), parts)[0]


def _ema_weight(decay: float, step: jax.Array) -> jax.Array:
    """Weight of the newest value in a bias-corrected EMA after `step` values; 1 for the first value."""
    # 1 - decay**step would lose the digits of a decay close to 1.
    return (1 - decay) / -jnp.expm1(step * math.log(decay))
