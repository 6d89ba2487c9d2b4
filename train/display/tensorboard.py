"""A run as TensorBoard shows it: every figure as a curve, and predictions on a few images."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from train.data.prepare import Prepared
from train.display.pictures import overlay
from train.inference.tiles import Predictor, Tiling
from train.paths import Place
from train.training.experiment import Experiment
from train.training.step import State

CURVES = ("loss", "terms", "learning_rate", "images_per_second", "validation")
"""What of a line of metrics.jsonl becomes curves."""
SHOWN = 4
"""Images of the validation part that are shown, of those with a defect."""


@contextlib.contextmanager
def tensorboard(
    experiment: Experiment, data: Prepared, directory: Place, done: int
) -> Iterator[Callable[[Mapping[str, Any], State], None]]:
    """A function `(row, state)` that adds an epoch to TensorBoard's files, and its state's predictions.

    Args:
        experiment: of this run.
        data: its data.
        directory: where the files go.
        done: steps taken so far; what is there of later ones is no longer shown.
    """
    from tensorboardX import SummaryWriter  # which imports torch where that is installed, for seconds

    validation = data.parts["validation"]
    defective = np.flatnonzero(validation.defective)[:SHOWN].tolist()
    examples = Subset(validation, defective or [0])
    predict = Predictor(experiment, data.canvas("validation"), Tiling())

    def add(row: Mapping[str, Any], state: State) -> None:
        for name, value in curves(row).items():
            writer.add_scalar(name, value, row["step"])
        for example, probabilities in predict(state, examples):
            picture = overlay(example["image"], probabilities.argmax(-1).astype(np.uint8))
            writer.add_image(f"{example['name']}/prediction", picture, row["step"], dataformats="HWC")

    # Its thread writes to the disk when so many seconds have passed, and at the end.
    with SummaryWriter(str(directory), purge_step=done + 1, flush_secs=2) as writer:
        for example in examples:
            picture = overlay(example["image"], example["label"])
            writer.add_image(f"{example['name']}/label", picture, done, dataformats="HWC")
        yield add


def curves(row: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a line of metrics.jsonl by their path, such as `validation/classes/scratch/dice`."""
    flat: Any = traverse_util.flatten_dict({key: row[key] for key in CURVES}, sep="/")
    return {path: value for path, value in flat.items() if value is not None}
