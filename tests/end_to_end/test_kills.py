"""Runs that are killed at any moment, while a checkpoint is written too, end as if nothing had been."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.end_to_end import runs
from tests.end_to_end.runs import rows, wait_until
from train.__main__ import main
from train.run.checkpoints import Checkpoints

ROOT = Path(__file__).parents[2]
EPOCHS = 12
RUNS = 9
"""Each is killed twice."""


def command(run: Path, prepared: Path) -> list[str]:
    return runs.command(run, prepared, "--epochs", str(EPOCHS))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, prepared):
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert main(command(path, prepared)) == 0
    return path


def left(run: Path) -> tuple:
    """All that a run leaves but the clock: figures by epoch, evaluation, and the last state."""
    checkpoints = Checkpoints(run)
    step = checkpoints.latest()
    with ocp.StandardCheckpointer() as reader:
        state = reader.restore((run / "checkpoints" / str(step) / "default").absolute())
    evaluation = json.loads((run / "evaluation.json").read_text())
    return rows(run), evaluation, step, checkpoints.step_of("best"), state


def kill(run: Path, prepared: Path, moment: random.Random) -> None:
    """Starts a run and kills it after some epochs: a little later, or while a checkpoint is written."""
    epochs, later, writing = moment.randrange(EPOCHS), moment.uniform(0, 0.5), moment.random() < 0.5
    with subprocess.Popen(
        [sys.executable, "-m", "train", *command(run, prepared)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: process.poll() is not None or len(rows(run)) >= epochs)
        if writing:
            wait_until(lambda: process.poll() is not None or any((run / "checkpoints").glob("*tmp*")))
        else:
            time.sleep(later)
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
def test_a_run_killed_twice_ends_in_the_same_bits(seed, undisturbed, prepared, tmp_path):
    moment = random.Random(seed)
    for _ in range(2):
        kill(tmp_path / "run", prepared, moment)
    assert main(command(tmp_path / "run", prepared)) == 0
    *figures, state = left(tmp_path / "run")
    *expected_figures, expected_state = left(undisturbed)
    assert figures == expected_figures
    assert jax.tree.all(jax.tree.map(np.array_equal, state, expected_state))
