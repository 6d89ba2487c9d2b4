"""A run in TensorBoard: the figures of each epoch as curves, and predictions for a few images."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flax import traverse_util

from train.data.cache import Subset
from train.data.prepare import Prepared
from train.display.pictures import overlay
from train.inference.tiles import Predictor, Tiling
from train.measures.records import EpochRecord
from train.paths import AnyPath
from train.records import to_json
from train.training.experiment import Experiment
from train.training.state import State

_CURVES = ("loss", "terms", "learning_rate", "images_per_second", "validation")
"""Fields of an epoch's record that are drawn as curves."""
_IMAGES = 4
"""Number of defective validation images that are shown."""


@contextlib.contextmanager
def tensorboard(
    experiment: Experiment, data: Prepared, directory: AnyPath, step: int
) -> Iterator[Callable[[EpochRecord, State], None]]:
    """Open TensorBoard's files and yield a function `(epoch, state)` that adds an epoch to them.

    An epoch adds its figures, and the predictions of its state for a few validation images.

    Args:
        experiment: of this run.
        data: of this run.
        directory: of the files.
        step: training steps taken so far; TensorBoard hides what the files hold of later steps.
    """
    from tensorboardX import SummaryWriter  # imports torch where torch is installed, which takes seconds

    validation = data.parts["validation"]
    defective = np.flatnonzero(validation.defective)[:_IMAGES].tolist()
    examples = Subset(validation, defective or [0])
    predict = Predictor(experiment, data.canvas("validation"), Tiling())

    def add(epoch: EpochRecord, state: State) -> None:
        for path, value in curves(epoch).items():
            writer.add_scalar(path, value, epoch.step)
        for example, probabilities in predict(state, examples):
            picture = overlay(example["image"], probabilities.argmax(-1).astype(np.uint8))
            writer.add_image(f"{example['name']}/prediction", picture, epoch.step, dataformats="HWC")

    # A thread of the writer flushes to the disk every `flush_secs` seconds and at the end.
    with SummaryWriter(str(directory), purge_step=step + 1, flush_secs=2) as writer:
        for example in examples:
            picture = overlay(example["image"], example["label"])
            writer.add_image(f"{example['name']}/label", picture, step, dataformats="HWC")
        yield add


def curves(epoch: EpochRecord) -> dict[str, float]:
    """Return the figures of an epoch by their path, such as `validation/classes/scratch/dice`."""
    figures = {field: value for field, value in to_json(epoch).items() if field in _CURVES}
    flat: Any = traverse_util.flatten_dict(figures, sep="/")
    return {path: value for path, value in flat.items() if value is not None}
