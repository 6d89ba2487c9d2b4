"""Comparison of objectives on one data set, with the same network, number of steps and seeds.

    python -m tests.benchmarks.trial CONFIG --source DIR [--seeds 0 1] [--objectives NAME ...]

Every row is one `python -m train fit CONFIG:NAME --seed SEED`; each command is printed. Finished runs are not
repeated and interrupted runs are resumed, so the same command finishes a trial that was stopped. On several
cores, start one trial per core under `taskset`, each with different objectives: a small network gains little
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
    """Train a config with each objective and each seed."""

    config: Annotated[Path, tyro.conf.Positional]
    """Config file."""
    source: Path
    """Folder of the unpacked archive of the data set."""
    runs: Path = Path("runs/trial")
    """Folder of the run directories."""
    data_dir: Path = Path("prepared")
    """Folder of prepared data sets."""
    objectives: tuple[str, ...] = field(default_factory=lambda: tuple(OBJECTIVES))
    """Objectives to compare, by name."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the initial parameters, the order of the images, their crops and augmentation."""


def main(trial: Trial) -> None:
    """Run what is missing, and print the table of all finished runs."""
    for seed in trial.seeds:
        for name in trial.objectives:
            run = run_directory(trial, name, seed)
            if (run / "evaluation.json").exists():
                continue
            arguments = ["fit", f"{trial.config}:{name}", "--seed", seed, "--run-dir", run]
            folders = ["--source", trial.source, "--data-dir", trial.data_dir]
            command = [sys.executable, "-m", "train", *map(str, [*arguments, *folders])]
            print(*command[1:], flush=True)
            subprocess.run(command, check=True)
    print("\n".join(table(trial)))


def run_directory(trial: Trial, name: str, seed: int) -> Path:
    """Return the run directory of an objective and a seed."""
    return trial.runs / f"{trial.config.stem}-{name}-{seed}"


def table(trial: Trial) -> Iterator[str]:
    """Yield the lines of a Markdown table: data-set figures of every finished run on the test part."""
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
