"""What `fit` adds to the bare step, and how long its first step takes to come.

    python -m tests.benchmarks.loop [--config configs/quickstart.py] [--epochs 31]

After each epoch of a run of `fit` the bare compiled step takes as many steps on one batch, so both see the
same machine. An epoch counts with all that belongs to it but the look at the validation part: reading images,
fetching losses, the progress line, the line of metrics.jsonl and the checkpoint. The first step is timed from
the start of the command to its end, in new processes: with the data to be painted, with the data there, and
with the compiled programs there, too. Run it alone on an idle machine.
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
    """Measures the loop."""

    config: Path = Path("configs/quickstart.py")
    """What is trained."""
    epochs: int = 31
    """Of the run; the first is not counted."""
    starts: int = 3
    """How often each start is timed."""


def main(benchmark: Benchmark) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print("| first step | seconds |\n|---|---|")
        for name, seconds in starts(benchmark, Path(folder)):
            print(f"| {name} | {statistics.median(seconds):.1f} |", flush=True)
        whole, saving, bare = epochs(benchmark, Path(folder))
    print("\n| a step of | ms |\n|---|---|")
    print(f"| `fit` | {1e3 * statistics.median(whole):.1f} |")
    print(f"| of that the checkpoint | {1e3 * statistics.median(saving):.1f} |")
    print(f"| the bare step | {1e3 * statistics.median(bare):.1f} |")
    ratios = [a / b for a, b in zip(whole, bare, strict=True)]
    print(f"| ratio, median of {len(ratios)} epochs | {statistics.median(ratios):.3f} |")


def starts(benchmark: Benchmark, folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Seconds from the start of the command to the end of the first step."""

    def first_step(prepared: Path, *options: str) -> float:
        run = Path(tempfile.mkdtemp(dir=folder))
        command = ["fit", str(benchmark.config), "--run-dir", str(run), "--data-dir", str(prepared), *options]
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST_STEP, *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    yield "the data to be painted", [first_step(folder / f"{k}") for k in range(benchmark.starts)]
    copy_folder = folder / "0"
    yield "the data there", [first_step(copy_folder) for _ in range(benchmark.starts)]
    cache = ["--compilation-cache", str(folder / "cache")]
    first_step(copy_folder, *cache)
    yield "compiled programs there, too", [first_step(copy_folder, *cache) for _ in range(benchmark.starts)]


def epochs(benchmark: Benchmark, folder: Path) -> tuple[list[float], list[float], list[float]]:
    """Seconds a step, by epoch but the first: of all that `fit` does, of its checkpoint, of the bare step."""
    config_file = ConfigFile(benchmark.config, None)
    config = dataclasses.replace(config_file.load(), epochs=benchmark.epochs)
    experiment, data = set_up(config, data_dir=folder / "0", source=None)
    steps = experiment.steps_per_epoch
    batch = shard(next(batches(experiment, data)))
    step, state = map_training(experiment.train_step()), replicate(experiment.random_state())

    def bare_steps() -> float:
        nonlocal state  # its memory is reused by the next
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
