"""The steps of inference: pure functions of a state and a batch, mapped over the devices of a host.

All take `state`, whose optimizer is not read; `batch`, the images of this device in an evaluation batch of
`train.data.pipeline`; `model`, the network; and `input`, which says how pixel values are normalized. A
`canvas` is the height and width that hold the largest image of a data set.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from balanced_jax.masks import boundary_mask, valid_mask
from balanced_jax.metrics import ConfusionCounts, confusion_counts
from train.config import Input, Term
from train.data.example import Size
from train.measures.loss_shares import LossShareSums, loss_share_sums
from train.measures.ranking import image_scores
from train.training.objective import total_cost
from train.training.state import State, variables_of

Batch = Mapping[str, Any]
"""Arrays by name; the precomputed masks in a dictionary of their own."""


def logits_step(state: State, batch: Batch, *, model: nn.Module, input: Input) -> Any:
    """Return the logits of `batch["image"]`, at the size of the input of the network."""
    return model.apply(variables_of(state), input.normalize(batch["image"] / 255.0), train=False)


def probability_step(state: State, batch: Batch, *, model: nn.Module, input: Input) -> jax.Array:
    """Return the probability of each class, float32 [b, h, w, classes], at the size of the input."""
    return jax.nn.softmax(logits_step(state, batch, model=model, input=input))


def resize_step(batch: Batch, *, canvas: Size) -> jax.Array:
    """Return the probability of each class in windows of images that the network takes at another size.

    Args:
        batch: `logits` [b, h, w, classes] of whole images; `size` float32 [b, 2], the height and width of the
            images themselves; `corner` float32 [b, 2], the row and column where the window begins.
        canvas: height and width of a window.

    Returns:
        float32 [b, *canvas, classes], meaningful within the image.
    """
    logits = batch["logits"]
    extent = jnp.array(logits.shape[1:3], jnp.float32)
    resize = functools.partial(_resize, canvas=canvas)
    return jax.nn.softmax(jax.vmap(resize, (0, None, 0, 0))(logits, extent, batch["size"], batch["corner"]))


class Classification(NamedTuple):
    """The predictions for each image of a batch; maps are meaningful within the image."""

    classes: jax.Array
    """Most probable class ids, uint8 [b, *canvas]."""
    probabilities: jax.Array
    """Probability of each defect class, float32 [b, *canvas, classes - 1]."""
    boundary: jax.Array
    """Which labeled pixels touch another class, bool [b, *canvas]."""
    scores: jax.Array
    """Image scores of `train.measures.ranking`, float32 [b, classes]."""


def classification_step(
    state: State, batch: Batch, *, model: nn.Module, input: Input, canvas: Size
) -> Classification:
    """Return the most probable classes, the probabilities of the defect classes, and the image scores."""
    logits = _at_image_size(logits_step(state, batch, model=model, input=input), batch, input, canvas)
    num_classes, label = logits.shape[-1], batch["label"]
    return Classification(
        _most_probable(logits).astype(jnp.uint8),
        jax.nn.softmax(logits)[..., 1:],
        boundary_mask(label, num_classes),
        image_scores(logits, valid_mask(label, num_classes)),
    )


def validation_step(
    state: State,
    batch: Batch,
    *,
    model: nn.Module,
    input: Input,
    canvas: Size,
    objective: Mapping[str, Term],
    steps: int,
) -> tuple[ConfusionCounts, LossShareSums]:
    """Return the counts of the most probable classes and the loss shares of each image, by one forward pass.

    The objective is evaluated at the state's fraction of the run and at the size of the input of the network.

    Args:
        state, batch, model, input, canvas: see the head of this module.
        objective: the terms of the loss.
        steps: length of the whole run.
    """
    logits = logits_step(state, batch, model=model, input=input)
    classes = _most_probable(_at_image_size(logits, batch, input, canvas))
    counts = confusion_counts(classes, batch["label"], logits.shape[-1])
    labels = batch["input_label"].astype(jnp.int32)
    return counts, loss_share_sums(objective, logits, labels, state.step / steps, batch["masks"])


def cost_step(
    state: State,
    batch: Batch,
    *,
    model: nn.Module,
    input: Input,
    objective: Mapping[str, Term],
    steps: int,
) -> jax.Array:
    """Return the cost of each pixel in the objective, [b, h, w], evaluated as in `validation_step`."""
    logits = logits_step(state, batch, model=model, input=input)
    labels = batch["input_label"].astype(jnp.int32)
    return total_cost(objective, logits, labels, state.step / steps, batch["masks"])


def _at_image_size(logits: jax.Array, batch: Batch, input: Input, canvas: Size) -> jax.Array:
    """Return logits [b, *canvas, classes], those of each image at the image's size in the top left corner."""
    if input.size is None:  # the network took the canvas
        return logits
    resize = functools.partial(_resize, canvas=canvas)
    return jax.vmap(resize, (0, 0, 0, None))(logits, batch["extent"], batch["size"], jnp.zeros(2))


def _resize(
    logits: jax.Array, extent: jax.Array, size: jax.Array, corner: jax.Array, *, canvas: Size
) -> jax.Array:
    """Resize logits [h, w, classes] such that `extent` becomes `size`, and cut a canvas from a corner on."""
    shape = (*canvas, logits.shape[-1])
    return jax.image.scale_and_translate(
        logits, shape, (0, 1), size / extent, -corner, "linear", antialias=False
    )


def _most_probable(logits: jax.Array) -> jax.Array:
    return logits.argmax(-1).astype(jnp.int32)
