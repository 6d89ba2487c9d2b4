"""Overhead of `fit` over the compiled training step, and its startup time.

    python -m tests.benchmarks.loop [--config configs/quickstart.py] [--epochs 31]

After each epoch of a run of `fit`, the compiled step alone takes as many steps on one batch, so that both run
at the same speed of the machine. The time of an epoch includes everything but validation: reading images,
fetching losses, the progress line, the line of metrics.jsonl and the checkpoint. Startup is the time from the
start of the command to the end of the first step, in new processes: with the data still to be generated, with
prepared data, and with cached compilation as well. Run this alone on an idle machine.
"""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import jax
import tyro
from etils import epath

import train.training.loop
from tests.benchmarks.step import batches
from train.commands.fit import Fit
from train.configfile import ConfigFile
from train.measures.records import EpochRecord
from train.parallel import map_training, replicate, shard
from train.run.checkpoints import Checkpoints
from train.run.files import read_rows
from train.setup import set_up

FIRST_STEP = """
import os, sys, train.training.loop
from train.__main__ import main
take_steps = train.training.loop.take_steps
def one_step(step, state, batches, skip, show):
    take_steps(step, state, [next(batches)], skip, show)
    os._exit(0)
train.training.loop.take_steps = one_step
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Benchmark:
    """Time the training loop and its startup."""

    config: Path = Path("configs/quickstart.py")
    """Config file that is trained."""
    epochs: int = 31
    """Epochs of the run; the first is not counted."""
    starts: int = 3
    """Number of times that each startup is timed."""


def main(benchmark: Benchmark) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print("| first step | seconds |\n|---|---|")
        for name, seconds in starts(benchmark, Path(folder)):
            print(f"| {name} | {statistics.median(seconds):.1f} |", flush=True)
        whole, saving, bare = epochs(benchmark, Path(folder))
    print("\n| step | ms |\n|---|---|")
    print(f"| `fit` | {1e3 * statistics.median(whole):.1f} |")
    print(f"| checkpoint, included in `fit` | {1e3 * statistics.median(saving):.1f} |")
    print(f"| compiled step alone | {1e3 * statistics.median(bare):.1f} |")
    ratios = [a / b for a, b in zip(whole, bare, strict=True)]
    print(f"| ratio, median of {len(ratios)} epochs | {statistics.median(ratios):.3f} |")


def starts(benchmark: Benchmark, folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Yield each kind of startup with its seconds until the end of the first step."""

    def first_step(prepared: Path, *options: str) -> float:
        run = Path(tempfile.mkdtemp(dir=folder))
        command = ["fit", str(benchmark.config), "--run-dir", str(run), "--data-dir", str(prepared), *options]
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST_STEP, *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    yield "data to be generated", [first_step(folder / f"{k}") for k in range(benchmark.starts)]
    copy_folder = folder / "0"
    yield "prepared data", [first_step(copy_folder) for _ in range(benchmark.starts)]
    cache = ["--compilation-cache", str(folder / "cache")]
    first_step(copy_folder, *cache)
    yield (
        "prepared data, cached compilation",
        [first_step(copy_folder, *cache) for _ in range(benchmark.starts)],
    )


def epochs(benchmark: Benchmark, folder: Path) -> tuple[list[float], list[float], list[float]]:
    """Return seconds per step of `fit`, of its checkpoint and of the step alone, from the second epoch on."""
    config_file = ConfigFile(benchmark.config, None)
    config = dataclasses.replace(config_file.load(), epochs=benchmark.epochs)
    experiment, data = set_up(config, data_dir=folder / "0", source=None)
    steps = experiment.steps_per_epoch
    batch = shard(next(batches(experiment, data)))
    step, state = map_training(experiment.train_step()), replicate(experiment.random_state())

    def bare_steps() -> float:
        nonlocal state  # its memory is donated to the next step
        begin = time.perf_counter()
        for _ in range(steps):
            state, _ = step(state, batch)
        jax.block_until_ready(state)
        return time.perf_counter() - begin

    saving: list[float] = []
    bare: list[float] = []

    class Watched(Checkpoints):
        def save(self, step, state, monitored, partial_epoch=()) -> None:
            start = time.perf_counter()
            super().save(step, state, monitored, partial_epoch)
            saving.append((time.perf_counter() - start) / steps)
            bare.append(bare_steps() / steps)

    run = folder / "run"
    with mock.patch.object(train.training.loop, "Checkpoints", Watched):
        Fit(config=config, config_file=config_file, run_dir=epath.Path(run), data_dir=folder / "0").run()
    training = [row.seconds / steps for row in read_rows(run / "metrics.jsonl", EpochRecord)]
    whole = [a + b for a, b in zip(training, saving, strict=True)]
    return whole[1:], saving[1:], bare[1:]


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
