"""From a config to an experiment and its data: the checks that need the data or the devices."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import flax.linen as nn
import jax

from train.config import Config
from train.data.facts import DataFacts
from train.data.prepare import Prepared, prepare
from train.errors import UserError
from train.training.class_ratios import resolve_ratios
from train.training.early_stopping import check_monitor
from train.training.experiment import Experiment
from train.training.objective import check_objective

_MOST_IMAGES = 2**31
"""Images in the stream of a whole run are numbered in int32."""


def set_up(config: Config, *, data_dir: Path, source: Path | None) -> tuple[Experiment, Prepared]:
    """Check a config and prepare its data.

    In the config of the experiment, the ratios of the objective are the numbers of the training part.

    Raises:
        UserError: says which field, or which file, is wrong and what to do.
    """
    check_objective(config.objective)
    data = prepare(config.data, data_dir=data_dir, source=source)
    training = data.parts["train"]
    facts = DataFacts(data.classes, data.channels, len(training), sum(training.defective), data.fingerprint)
    objective = resolve_ratios(config.objective, data.classes, training.present, training.labels())
    check_objective(objective, len(data.classes))
    experiment = Experiment(dataclasses.replace(config, objective=objective), facts)
    _check_model(config.model, data.classes)
    _check_sampling(config, facts)
    check_monitor(config.monitor, data.classes)
    if experiment.steps_per_epoch == 0:
        raise UserError(
            f"batch_size: {config.batch_size} is more than the {experiment.images_per_pass} training images "
            "of a pass; take a smaller one"
        )
    if config.skip >= experiment.steps_per_epoch:
        raise UserError(
            f"skip: is {config.skip}, takes 0 to {experiment.steps_per_epoch - 1}, less than an epoch's steps"
        )
    if experiment.steps * config.batch_size >= _MOST_IMAGES:
        raise UserError(
            f"epochs: {config.epochs} are {experiment.steps * config.batch_size} images one after the other; "
            f"a run takes less than {_MOST_IMAGES}"
        )
    if config.input.size is None and config.input.crop is None and len(set(training.sizes)) > 1:
        raise UserError(
            "input: the training images differ in size; give --input.size HEIGHT WIDTH to resize them, or "
            "--input.crop HEIGHT WIDTH to train on crops"
        )
    _check_memory(experiment, data)
    return experiment, data


def _check_memory(experiment: Experiment, data: Prepared) -> None:
    """Refuse a batch or a network that cannot fit into the memory of this machine, before either is made."""
    config, memory = experiment.config, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    height, width = config.input.crop or config.input.size or data.canvas("train")
    batch = 4 * config.batch_size // jax.process_count() * height * width * data.channels
    if batch > memory:
        raise UserError(
            f"batch_size: {config.batch_size} images of {width}x{height} pixels are {batch} bytes, but this "
            f"machine has {memory}; take fewer, or a smaller input.crop"
        )
    state = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(jax.eval_shape(experiment.random_state)))
    if state > memory:
        raise UserError(
            f"model: {type(config.model).__name__} and its optimizer are {state} bytes, but this machine "
            f"has {memory}; take a smaller width"
        )


def _check_sampling(config: Config, facts: DataFacts) -> None:
    """Refuse sampling that the data or the input do not allow."""
    centered = config.sampling.centered
    if centered and config.input.crop is None:
        raise UserError(
            f"sampling.centered: {centered} has no effect on whole images; give --input.crop HEIGHT WIDTH, "
            "or leave it out"
        )
    defective, images = facts.defective_images, facts.training_images
    if config.sampling.balanced and defective in (0, images):
        raise UserError(
            f"sampling.balanced: {defective} of the {images} training images show a defect, so there are no "
            "two kinds to alternate; leave it out"
        )
    if config.sampling.inject is not None and not defective:
        raise UserError(
            "sampling.inject: no training image shows a defect that could be pasted into others; leave it out"
        )


def _check_model(model: nn.Module, classes: Sequence[str]) -> None:
    """Refuse a network with a field that is not the config's to set: the data says the number of classes."""
    default = {field.name: field.default for field in dataclasses.fields(model)}
    if "num_classes" not in default:
        raise UserError(f"model: {type(model).__name__} has no field num_classes; add it, the data sets it")
    declared = getattr(model, "num_classes", None)
    if declared not in (default["num_classes"], len(classes)):
        raise UserError(
            f"model.num_classes: is {declared}, but the data has {len(classes)} classes "
            f"({', '.join(classes)}); leave it out"
        )
    axis_name = getattr(model, "axis_name", None)
    if axis_name is not None:
        raise UserError(f"model.axis_name: is {axis_name!r}; leave it out, training sets it")
