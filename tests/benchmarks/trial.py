"""Objectives compared on one data set: the same network, steps and seeds for each.

    python -m tests.benchmarks.trial CONFIG --source DIR [--seeds 0 1] [--objectives NAME ...]

Every row is one `python -m train fit CONFIG:NAME --seed SEED`, whose command is printed. What is there is not
run again, and a run that was cut off goes on, so the same command finishes a trial that was stopped. With
several cores start one trial for each under `taskset`, with other objectives: a small network gains little
from a second core.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from configs.objectives import OBJECTIVES
from train.measures.figures import defect_means
from train.measures.records import Evaluation
from train.run.files import read_record


@dataclass(frozen=True)
class Trial:
    """Trains by a config with each objective and seed."""

    config: Annotated[Path, tyro.conf.Positional]
    """The config file."""
    source: Path
    """The unpacked original of the data set."""
    runs: Path = Path("runs/trial")
    """Where the runs are kept."""
    data_dir: Path = Path("prepared")
    """Where prepared data lives."""
    objectives: tuple[str, ...] = field(default_factory=lambda: tuple(OBJECTIVES))
    """Names of the objectives."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the network, of the order of the images, their crops and changes."""


def main(trial: Trial) -> None:
    """Runs what is missing, and prints the table of all that is there."""
    for seed in trial.seeds:
        for name in trial.objectives:
            run = run_directory(trial, name, seed)
            if (run / "evaluation.json").exists():
                continue
            arguments = ["fit", f"{trial.config}:{name}", "--seed", seed, "--run-dir", run]
            places = ["--source", trial.source, "--data-dir", trial.data_dir]
            command = [sys.executable, "-m", "train", *map(str, [*arguments, *places])]
            print(*command[1:], flush=True)
            subprocess.run(command, check=True)
    print("\n".join(table(trial)))


def run_directory(trial: Trial, name: str, seed: int) -> Path:
    """Where the run of an objective and a seed is kept."""
    return trial.runs / f"{trial.config.stem}-{name}-{seed}"


def table(trial: Trial) -> Iterator[str]:
    """Data-set figures of every run on the test part, as a table of the README."""
    header = None
    for name in OBJECTIVES:
        for seed in trial.seeds:
            file = run_directory(trial, name, seed) / "evaluation.json"
            if not file.exists():
                continue
            evaluation = read_record(file, Evaluation)
            defects = list(evaluation.classes)[1:]
            if header is None:
                header = ["objective", "seed", *defects, "mean IoU", "precision", "recall", "with thresholds"]
                yield f"| {' | '.join(header)} |"
                yield "|---" * len(header) + "|"
            means = defect_means(evaluation)
            figures = [
                *(evaluation.classes[defect].iou.dataset for defect in defects),
                *(evaluation.headline, means.precision, means.recall, evaluation.decided.headline),
            ]
            cells = [f"`{name}`", str(seed), *(f"{figure or 0:.3f}".lstrip("0") for figure in figures)]
            yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(tyro.cli(Trial))
