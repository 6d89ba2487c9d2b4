"""One training step and one look at images, as pure functions.

Both run under a mapped axis named `AXIS`, over the devices that share a batch.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from balanced_jax.masks import boundary_mask, valid_mask
from balanced_jax.metrics import ConfusionCounts, confusion_counts
from train.config import Augmentation, Input, Term
from train.measures.decision import decide, one_against_all
from train.measures.loss_shares import Findings, findings
from train.measures.ranking import image_scores
from train.training.augment import augment
from train.training.objective import AUXILIARY, term_sums, total_cost

AXIS = "batch"
AUXILIARY_WEIGHT = 0.4
"""What the objective counts on a network's auxiliary scores: Zhao et al. 2017, arXiv:1612.01105."""


@flax.struct.dataclass
class State:
    """All that a step changes."""

    step: jax.Array
    """Steps taken, int32."""
    bad: jax.Array
    """Of them, those that were not finite and left no trace, int32."""
    params: Any
    collections: Any
    """What the network keeps beside its parameters: the running statistics of its norms."""
    optimizer: Any
    average: Any = None
    """Of `(params, collections)` over the steps, where the run has one."""


def evaluated(state: State) -> State:
    """What is evaluated: the averages where there are any, without what only training needs."""
    params, collections = state.average or (state.params, state.collections)
    return dataclasses.replace(state, params=params, collections=collections, optimizer=(), average=None)


def initial_state(
    model: nn.Module,
    transformation: optax.GradientTransformation,
    shape: tuple[int, ...],
    seed: int,
    ema: float | None = None,
) -> State:
    """The state before the first step.

    Args:
        model: the network.
        transformation: the optimiser.
        shape: [batch, height, width, channels] of its input.
        seed: decides the parameters.
        ema: decay of an average of the parameters; None for none.
    """
    return state_before(model.init(jax.random.key(seed), jnp.zeros(shape), train=False), transformation, ema)


def state_before(
    variables: Mapping[str, Any], transformation: optax.GradientTransformation, ema: float | None
) -> State:
    """The state before the first step from these variables of the network; arguments as above."""
    collections = dict(variables)
    params = collections.pop("params")
    # Copies, because a step reuses the memory of its state, and no array twice.
    average = None if ema is None else jax.tree.map(jnp.copy, (params, collections))
    return State(jnp.int32(0), jnp.int32(0), params, collections, transformation.init(params), average)


class Report(NamedTuple):
    """What a step says of itself."""

    terms: dict[str, jax.Array]
    """The loss of each term."""
    gradient_norm: jax.Array
    """Euclidean length of the gradient, float32; not finite where any part of it, or the loss, is not."""
    bad: jax.Array
    """How many steps of the run were not finite, int32, this one included."""


def train_step(
    state: State,
    batch: Mapping[str, jax.Array],
    *,
    model: nn.Module,
    transformation: optax.GradientTransformation,
    objective: Mapping[str, Term],
    augmentation: Augmentation,
    what: Input,
    steps: int,
    seed: int,
    skip: int,
    ema: float | None,
    accumulation: int,
) -> tuple[State, Report]:
    """One step along the gradient of the objective's mean over all images that have labelled pixels.

    A step whose loss or gradient is not finite leaves the state as it was, but for its place in the run and
    the count of such steps. After one too many of them the state stands still, that one's place included.

    Args:
        state: equal on all devices.
        batch: this device's `image` uint8 [b, h, w, c], `label` uint8 [b, h, w], `index` int32 [b] and
            `masks`, stored masks [b, h, w] by the names of their terms.
        model: the network, with `axis_name=AXIS`.
        transformation: the optimiser.
        objective: the terms of the loss.
        augmentation: how images are changed.
        what: how pixel values are normalised.
        steps: length of the whole run.
        seed: of the augmentation.
        skip: how many steps of the run may be left out because they are not finite.
        ema: decay of the average of the parameters; None for none.
        accumulation: parts that this device's share is cut into, of which the network sees one at a time, for
            less memory. But for norms, which take their statistics over a part, the step is the same.

    Returns:
        The next state and what is to be said of the step, both equal on all devices. A network that keeps
        scores in the collection `auxiliary` has them judged as well: one more term of that name.
    """
    # Keys come from the example's place in the run, so they are the same on any number of devices.
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), batch["index"])
    images, labels, masks = jax.vmap(augment, (0, 0, 0, None, 0))(
        keys, batch["image"] / 255.0, batch["label"].astype(jnp.int32), augmentation, batch["masks"]
    )
    labelled = valid_mask(labels, model.num_classes).any((1, 2))
    count = jnp.maximum(jax.lax.psum(labelled.sum(), AXIS), 1)

    def local_share(params, collections, images, labels, masks, index):
        logits, collections = model.apply(
            {"params": params, **collections, "examples": {"index": index}},
            normalize(images, what),
            train=True,
            mutable=[*collections, "auxiliary"],
            rngs={"dropout": jax.random.key(seed)},
        )
        collections = dict(collections)
        auxiliary = jax.tree.leaves(collections.pop("auxiliary", {}))

        # Sums, divided by the images of all devices and parts: a mean of the devices' means would weigh an
        # image by how many labelled images share its device.
        def shares(logits):
            sums = term_sums(objective, logits, labels, state.step / steps, masks)
            return {name: total / count for name, total in sums.items()}

        terms = shares(logits)
        if auxiliary:
            judged = [share for scores in auxiliary for share in shares(scores).values()]
            terms[AUXILIARY] = AUXILIARY_WEIGHT * jnp.stack(judged).sum()
        return sum(terms.values()), (terms, collections)

    def gradient_of(collections, part):
        gradient, (terms, collections) = jax.grad(local_share, has_aux=True)(state.params, collections, *part)
        return collections, (gradient, terms)

    share = images, labels, masks, batch["index"]
    if accumulation == 1:
        collections, sums = gradient_of(state.collections, share)
    else:
        parts = jax.tree.map(lambda x: x.reshape(accumulation, -1, *x.shape[1:]), share)
        collections, sums = _sum_over(gradient_of, state.collections, parts)
    gradient, terms = jax.lax.psum(sums, AXIS)
    updates, optimizer = transformation.update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if ema is not None:
        newest = _newest(ema, state.step + 1 - state.bad)
        average = optax.incremental_update((params, collections), average, newest)
    # A loss that is not finite may have a finite gradient; 0 times it is not a number.
    norm = optax.tree.norm(gradient) + 0 * sum(terms.values())
    bad = state.bad + ~jnp.isfinite(norm)
    going = bad <= skip
    new = State(state.step, bad, params, collections, optimizer, average)
    kept = jax.tree.map(functools.partial(jnp.where, going & jnp.isfinite(norm)), new, state)
    return dataclasses.replace(kept, step=state.step + going, bad=bad), Report(terms, norm, bad)


def _sum_over(function: Callable, carried: Any, parts: Any) -> tuple[Any, Any]:
    """What `(carried, part) -> (carried, values)` carries out of the last part, and the sum of the values."""
    first = jax.tree.map(lambda x: x[0], parts)
    _, values = jax.eval_shape(function, carried, first)

    def add(so_far, part):
        carried, sums = so_far
        carried, values = function(carried, part)
        return (carried, jax.tree.map(jnp.add, sums, values)), None

    return jax.lax.scan(add, (carried, optax.tree.zeros_like(values)), parts)[0]


def _newest(ema: float, step: jax.Array) -> jax.Array:
    """What the newest of so many counts in an average whose weights fall by the decay and add up to 1.

    The first counts all, so that nothing is left of the values before the run.
    """
    # 1 - decay**step would lose the digits of a decay close to 1.
    return (1 - ema) / -jnp.expm1(step * math.log(ema))


def predict_step(state: State, batch: Mapping[str, jax.Array], *, model: nn.Module, what: Input) -> jax.Array:
    """Probabilities of each class, float32 [b, h, w, classes], at the size that the network sees.

    Args:
        state: its optimizer is not looked at.
        batch: this device's `image` uint8 [b, h, w, c].
        model: the network.
        what: how pixel values are normalised.
    """
    return jax.nn.softmax(look(state, batch, model=model, what=what))


def window_step(batch: Mapping[str, jax.Array], *, canvas: tuple[int, int]) -> jax.Array:
    """Probabilities of each class in windows of images that the network has seen at another size.

    Args:
        batch: this device's `scores` [b, h, w, classes], logits of whole images, `size` float32 [b, 2], the
            images' own height and width, and `corner` float32 [b, 2], the row and column where the window
            begins.
        canvas: height and width of a window.

    Returns:
        float32 [b, *canvas, classes], meaningful within the image.
    """
    scores = batch["scores"]
    extent = jnp.array(scores.shape[1:3], jnp.float32)
    resize = functools.partial(_resized, canvas=canvas)
    return jax.nn.softmax(jax.vmap(resize, (0, None, 0, 0))(scores, extent, batch["size"], batch["corner"]))


def threshold_step(
    state: State, batch: Mapping[str, jax.Array], *, model: nn.Module, what: Input, canvas: tuple[int, int]
) -> ConfusionCounts:
    """Counts under each threshold that a decision may have, int32 [b, candidates, classes].

    Args:
        state: its optimizer is not looked at.
        batch: this device's share of an evaluation batch of `train.data.pipeline`.
        model: the network.
        what: how pixel values are normalised.
        canvas: height and width of the largest image.
    """
    scores = _at_own_size(look(state, batch, model=model, what=what), batch, canvas)
    return one_against_all(jax.nn.softmax(scores), batch["label"].astype(jnp.int32))


class Judged(NamedTuple):
    """What the network makes of each image; maps are meaningful within its size."""

    classes: jax.Array
    """Class ids, uint8 [b, *canvas]: the most probable ones."""
    decided: jax.Array
    """The same: those that the decision thresholds lead to."""
    boundary: jax.Array
    """Which pixels of the label touch another class, bool [b, *canvas]."""
    scores: jax.Array
    """How sure it is of each class in the image, see `train.measures.ranking`, float32 [b, classes]."""


def judge_step(
    state: State,
    batch: Mapping[str, jax.Array],
    *,
    model: nn.Module,
    what: Input,
    canvas: tuple[int, int],
    thresholds: np.ndarray,
) -> Judged:
    """Predicted classes with and without decision thresholds, and what evaluation takes from the labels.

    Args:
        state, batch, model, what, canvas: as above.
        thresholds: of each defect class, see `train.measures.decision`.
    """
    scores = _at_own_size(look(state, batch, model=model, what=what), batch, canvas)
    decided = decide(jax.nn.softmax(scores), thresholds)
    classes, label = scores.shape[-1], batch["label"]
    return Judged(
        _classes(scores).astype(jnp.uint8),
        decided.astype(jnp.uint8),
        boundary_mask(label, classes),
        image_scores(scores, valid_mask(label, classes)),
    )


def validate_step(
    state: State,
    batch: Mapping[str, jax.Array],
    *,
    model: nn.Module,
    what: Input,
    canvas: tuple[int, int],
    objective: Mapping[str, Term],
    steps: int,
) -> tuple[ConfusionCounts, Findings]:
    """Counts of the most probable classes, and who holds the objective, from one pass through the network.

    The objective is that of the state's place in the run, taken at the size that the network sees.

    Args:
        state, batch, model, what, canvas: as above.
        objective: the terms of the loss.
        steps: length of the whole run.

    Returns:
        Both per image.
    """
    logits = look(state, batch, model=model, what=what)
    labels = batch["seen"].astype(jnp.int32)
    classes = _classes(_at_own_size(logits, batch, canvas))
    counts = confusion_counts(classes, batch["label"], logits.shape[-1])
    return counts, findings(objective, logits, labels, state.step / steps)


def cost_step(
    state: State,
    batch: Mapping[str, jax.Array],
    *,
    model: nn.Module,
    what: Input,
    objective: Mapping[str, Term],
    steps: int,
) -> jax.Array:
    """What each pixel costs in the objective, [b, h, w] at the size that the network sees; as above."""
    logits = look(state, batch, model=model, what=what)
    return total_cost(objective, logits, batch["seen"].astype(jnp.int32), state.step / steps)


def look(state: State, batch: Mapping[str, jax.Array], *, model: nn.Module, what: Input) -> Any:
    """Logits of an evaluation batch, at the size that the network sees."""
    variables = {"params": state.params, **state.collections}
    return model.apply(variables, normalize(batch["image"] / 255.0, what), train=False)


def _at_own_size(logits: jax.Array, batch: Mapping[str, jax.Array], canvas: tuple[int, int]) -> jax.Array:
    """Logits [b, *canvas, classes], each image's at its own size in the top left corner."""

    resize = functools.partial(_resized, canvas=canvas)
    return jax.vmap(resize, (0, 0, 0, None))(logits, batch["extent"], batch["size"], jnp.zeros(2))


def _resized(
    scores: jax.Array, extent: jax.Array, size: jax.Array, corner: jax.Array, *, canvas: tuple[int, int]
) -> jax.Array:
    """What a canvas shows of scores [h, w, classes] whose `extent` is brought to a size, from a corner on."""
    shape = (*canvas, scores.shape[-1])
    return jax.image.scale_and_translate(
        scores, shape, (0, 1), size / extent, -corner, "linear", antialias=False
    )


def _classes(scores: jax.Array) -> jax.Array:
    return scores.argmax(-1).astype(jnp.int32)


def normalize(images: jax.Array, what: Input) -> jax.Array:
    """Pixel values in 0 to 1 as the network wants them."""
    return (images - what.mean) / what.deviation
