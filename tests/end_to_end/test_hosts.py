"""Two processes, as on two hosts, do what one does."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.end_to_end.runs import command, rows, wait_until
from train.__main__ import main
from train.run.files import read_json

ROOT = Path(__file__).parents[2]
DEVICES = 2  # of each process


@contextlib.contextmanager
def together(first: list[str], second: list[str]):
    """Two processes that share the loopback address, and at the end of the context no more."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        others = ["--coordinator", f"127.0.0.1:{free.getsockname()[1]}", "--num-processes", "2"]
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "train", *arguments, *others, "--process-id", str(k)],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k, arguments in enumerate((first, second))
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ends(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Exit code and what was said, of each."""
    said = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def state(run: Path) -> dict:
    with ocp.StandardCheckpointer() as reader:
        return reader.restore((run / "checkpoints" / "6" / "default").absolute())


@pytest.mark.slow
def test_two_processes_that_were_stopped_and_went_on_end_as_one_does(prepared, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(command(one, prepared)) == 0  # on all of this process's devices
    with together(command(two, prepared), command(two, prepared)) as processes:
        wait_until(lambda: rows(two) != [] or processes[1].poll() is not None)
        processes[1].send_signal(signal.SIGTERM)  # the other one is not asked, and stops as well
        stopped = ends(processes)
    if [code for code, *_ in stopped] != [0, 0]:  # unless they were through before the signal came
        assert [code for code, *_ in stopped] == [143, 143], stopped
        assert len({err.splitlines()[-1] for *_, err in stopped}) == 1  # at the same step
        with together(command(two, prepared), command(two, prepared)) as processes:
            assert [code for code, *_ in ends(processes)] == [0, 0]
    # The images are summed in another order: 1e-8 was seen in the losses, 2e-7 in the parameters, and Adam
    # may magnify more of it elsewhere.
    for row, expected in zip(rows(two), rows(one), strict=True):
        assert row["step"] == expected["step"]
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert row["validation"]["headline"] == pytest.approx(expected["validation"]["headline"], abs=5e-3)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4), state(two), state(one))
    figures = [read_json(run / "evaluation.json") for run in (two, one)]
    assert figures[0]["headline"] == pytest.approx(figures[1]["headline"], abs=5e-3)
    assert (two / "log.txt").read_text().count("epoch 3/3") == 1  # written by one of them


@pytest.mark.slow
def test_what_one_process_refuses_ends_the_other(prepared, tmp_path):
    run = command(tmp_path / "run", prepared)
    with together(run, [*run, "--batch-size", "7"]) as processes:
        (first, _, said), (second, _, reason) = ends(processes)
    assert (first, second) == (2, 2)
    assert "host 1: was refused; see its message" in said
    assert "batch_size: 7 images cannot be shared evenly" in reason


@pytest.mark.slow
def test_processes_that_nobody_tells_of_each_other_are_named(prepared, tmp_path):
    said = subprocess.run(
        [sys.executable, "-m", "train", *command(tmp_path / "run", prepared, "--distributed")],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 2
    assert said.stderr.startswith("error: distributed: cannot find or reach the other processes")
