"""Functions `(state, examples)` that apply a trained state to many images; each is compiled once.

A `canvas` is the height and width that hold the largest of the images.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from train.data.cache import Batch, Examples, MaskFunction, Subset
from train.data.example import Size
from train.data.pipeline import evaluation_batches
from train.inference.steps import classification_step, cost_step, validation_step
from train.measures.figures import figures, stack
from train.measures.loss_share_records import LossShares
from train.measures.loss_shares import loss_shares
from train.measures.records import Figures
from train.parallel import (
    gather,
    inference_batch_size,
    local_positions,
    map_inference,
    replicate_locally,
    shard,
    unshard,
)
from train.training.experiment import Experiment
from train.training.precomputed_masks import precomputed_masks
from train.training.state import State, inference_state


class ClassifiedImage(NamedTuple):
    """The label of one image and the predictions for it; maps are [h, w] at the image's own size."""

    label: np.ndarray
    """Class ids, uint8; 255 is void."""
    classes: np.ndarray
    """Most probable class ids, uint8."""
    probabilities: np.ndarray
    """Probability of each defect class, float32 [h, w, classes - 1]."""
    boundary: np.ndarray
    """Where the label touches another class, bool."""
    scores: np.ndarray
    """Image scores of `train.measures.ranking`, float32 [classes]."""


Classifier = Callable[[State, Examples], Iterator[ClassifiedImage]]

Validate = Callable[[State, Examples, Callable[[], bool]], tuple[Figures, LossShares] | None]
"""Computes figures of a state; asks the given function after each image whether to stop, and then gives None.
"""


def classifier(experiment: Experiment, canvas: Size) -> Classifier:
    """Return a function that yields the predictions for each image."""
    view = _viewer(experiment, functools.partial(classification_step, canvas=canvas), canvas)

    def classify(state: State, examples: Examples) -> Iterator[ClassifiedImage]:
        for example, output in view(state, examples):
            maps = (example["label"], output.classes, output.probabilities, output.boundary)
            label, classes, probabilities, boundary = (_crop_to_image(x, example) for x in maps)
            yield ClassifiedImage(label, classes, probabilities, boundary, output.scores)

    return classify


def validator(experiment: Experiment, canvas: Size) -> Validate:
    """Return a function that computes the figures and the loss shares of a part.

    Each host evaluates a part of the examples and receives the results of the other hosts.
    """
    classes, objective = experiment.facts.classes, experiment.config.objective
    step = functools.partial(validation_step, canvas=canvas, objective=objective, steps=experiment.steps)
    view = _viewer(experiment, step, canvas, _masks(experiment, canvas))

    def validate(
        state: State, examples: Examples, stop: Callable[[], bool]
    ) -> tuple[Figures, LossShares] | None:
        local = Subset(examples, local_positions(len(examples)))
        outputs = []
        for _, output in view(state, local):
            if stop():
                return None
            outputs.append(output)
        counts, sums = gather(stack(outputs), len(examples))
        progress = int(state.step) / experiment.steps
        return figures(counts, classes), loss_shares(sums, classes, objective, progress)

    return validate


def cost_viewer(experiment: Experiment, canvas: Size) -> Callable[[State, Examples], Iterator[np.ndarray]]:
    """Return a function that yields the cost of each pixel of an image, at the size of the network's input.

    The objective is evaluated at the state's fraction of the run; void pixels are NaN.
    """
    step = functools.partial(cost_step, objective=experiment.config.objective, steps=experiment.steps)
    view = _viewer(experiment, step, canvas, _masks(experiment, canvas))

    def costs(state: State, examples: Examples) -> Iterator[np.ndarray]:
        for example, cost in view(state, examples):
            height, width = example["extent"].astype(int)
            void = example["input_label"] >= len(experiment.facts.classes)
            yield np.where(void, np.nan, cost)[:height, :width]

    return costs


def _masks(experiment: Experiment, canvas: Size) -> dict[str, MaskFunction]:
    """Return the functions of the precomputed masks, at the size of the network's input."""
    config, classes = experiment.config, experiment.facts.classes
    return precomputed_masks(config.objective, len(classes), config.input.size or canvas)


def _viewer(
    experiment: Experiment, step: Callable, canvas: Size, masks: Mapping[str, MaskFunction] | None = None
) -> Callable[[State, Examples], Iterator[tuple[Batch, Any]]]:
    """Return a function that yields each example, as the batch holds it, and the output of a step for it."""
    config = experiment.config
    batch_size = inference_batch_size(config.batch_size, config.input.size or canvas)
    mapped = map_inference(functools.partial(step, model=experiment.model, input=config.input))

    def view(state: State, examples: Examples) -> Iterator[tuple[Batch, Any]]:
        state = replicate_locally(inference_state(state))
        for batch in evaluation_batches(
            examples, size=config.input.size, batch_size=batch_size, canvas=canvas, masks=masks
        ):
            outputs = unshard(mapped(state, shard(batch)))
            for i in np.flatnonzero(batch["real"]):
                yield jax.tree.map(lambda x, i=i: x[i], (batch, outputs))

    return view


def _crop_to_image(canvas: np.ndarray, example: Batch) -> np.ndarray:
    """Return a copy of the part of a canvas that is the image."""
    height, width = example["size"].astype(int)
    return canvas[:height, :width].copy()
