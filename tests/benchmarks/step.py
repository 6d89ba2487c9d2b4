"""Fraction of a training step spent on augmentation, on masks and on waiting for data.

    python -m tests.benchmarks.step [--rounds 15]

Steps of `configs/quickstart.py`, and of the same network on larger crops of larger images. Augmentation and
the confusion mask are timed alone on a batch of the step, interleaved with the whole step; waiting is the
time for which the loop of `fit` waits for its next batch, from the second pass on. Run this alone on an idle
machine.
"""

import dataclasses
import functools
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro

from balanced_jax.masks import confusion_mask
from configs import quickstart
from tests.benchmarks.timing import Candidate, alternate, ratio
from train.config import Input
from train.data.pipeline import training_batches
from train.data.prepare import Prepared
from train.data.sets import Generated
from train.parallel import map_training, replicate, shard
from train.setup import set_up
from train.training.augment import augment
from train.training.experiment import Experiment
from train.training.loop import take_steps

WINDOW = 7
"""Window of the confusion mask in the paper."""


@dataclass(frozen=True)
class Benchmark:
    """Time the parts of a training step."""

    rounds: int = 9
    """Number of times that each part is timed."""
    steps: int = 60
    """Steps of the loop whose waiting is measured."""


CONFIGS = {
    "16 of 64x64": quickstart.config,
    "4 of 256x256": dataclasses.replace(
        quickstart.config,
        data=Generated(train=64, validation=1, test=1, size=320),
        input=Input(crop=(256, 256)),
        batch_size=4,
    ),
}


def main(benchmark: Benchmark) -> None:
    print("| images a step | ms | augmentation | confusion mask | waiting for data |\n|---|---|---|---|---|")
    for name, config in CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            experiment, data = set_up(config, data_dir=Path(folder), source=None)
            seconds = alternate(candidates(experiment, data), benchmark.rounds)
            waiting = waiting_fraction(experiment, data, benchmark.steps)
        fractions = [ratio(seconds, part, "step") for part in ("augmentation", "confusion mask")]
        print(
            f"| {name} | {1e3 * statistics.median(seconds['step']):.0f} | "
            f"{' | '.join(f'{100 * fraction:.1f} %' for fraction in (*fractions, waiting))} |",
            flush=True,
        )


def candidates(experiment: Experiment, data: Prepared) -> dict[str, Candidate]:
    """Return the whole step, and the parts that are timed alone."""
    config = experiment.config
    batch = next(batches(experiment, data))
    step, sharded = map_training(experiment.train_step()), shard(batch)
    state = replicate(experiment.random_state())
    keys = jax.random.split(jax.random.key(0), len(batch["index"]))
    image, label = jnp.asarray(batch["image"] / 255, jnp.float32), jnp.asarray(batch["label"], jnp.int32)
    change = jax.jit(jax.vmap(functools.partial(augment, augmentation=config.augmentation)))
    mask = jax.jit(functools.partial(confusion_mask, num_classes=len(data.classes), window=WINDOW))

    def whole() -> Any:
        nonlocal state  # its memory is donated to the next step
        state, report = step(state, sharded)
        return state.params, report

    return {
        "step": whole,
        "augmentation": lambda: change(keys, image, label),
        "confusion mask": lambda: mask(label),
    }


def batches(experiment: Experiment, data: Prepared) -> Iterator[Any]:
    """Iterate over the batches that `fit` trains on."""
    config = experiment.config
    return training_batches(
        data.parts["train"],
        size=config.input.size,
        crop=config.input.crop,
        batch_size=config.batch_size,
        passes=config.epochs,
        seed=config.seed,
        memory=2**32,
    )


def waiting_fraction(experiment: Experiment, data: Prepared, steps: int) -> float:
    """Return the fraction of the loop's time spent on waiting for the next batch."""
    stream = batches(experiment, data)
    step: Callable = map_training(experiment.train_step())
    warm_up = itertools.islice(stream, experiment.steps_per_epoch)
    state, *_ = take_steps(step, replicate(experiment.random_state()), warm_up, 0, lambda losses: None)
    waited = 0.0

    def timed() -> Iterator[Any]:
        nonlocal waited
        for _ in range(steps):
            begin = time.perf_counter()
            batch = next(stream)
            waited += time.perf_counter() - begin
            yield batch

    begin = time.perf_counter()
    take_steps(step, state, timed(), 0, lambda losses: None)
    return waited / (time.perf_counter() - begin)


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
