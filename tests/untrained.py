"""Run directories of networks with random parameters, for tests and benchmarks of what follows training."""

from pathlib import Path

import jax

from tests.tiny import TINY
from train.data.facts import DataFacts
from train.run.checkpoints import Checkpoints
from train.run.directory import begin_or_resume
from train.training.experiment import Experiment


def gray_facts(classes: tuple[str, ...]) -> DataFacts:
    """Facts about a data set of gray images."""
    return DataFacts(classes, 1, 16, 8, "noise")


def make_run(run_dir: Path, experiment: Experiment, config_file: Path = TINY) -> None:
    """Make a run directory whose checkpoint is the initial state."""
    run_dir.mkdir()
    begin_or_resume(run_dir, experiment.config, config_file, experiment.facts)
    Checkpoints(run_dir).save(1, jax.device_get(experiment.random_state()), 0.5)
