"""Ctrl-C and SIGTERM at any moment: one line on stderr, exit code 130 or 143, and the command goes on."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end import runs
from tests.end_to_end.runs import rows, wait_until
from tests.tiny import TINY
from tests.tiny import config as tiny
from tests.untrained import gray_facts, make_run
from train.__main__ import main
from train.training.experiment import Experiment

ROOT = Path(__file__).parents[2]
GOES_ON = "stopped; the same command goes on from the last checkpoint\n"
BEGINS = "stopped; the same command begins again\n"
SIX = [signal.SIGINT] * 6
TERM = [signal.SIGTERM]
BOTH = pytest.mark.parametrize(("numbers", "code"), [(SIX, 130), (TERM, 143)])
_HEED_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Starts Python with the remaining arguments; the tests themselves may run where Ctrl-C is ignored."""
SECONDS = 30
"""A deadline that only a process that does not answer misses."""


def stopped(
    arguments: list, moment: Callable[[], bool], numbers: list[signal.Signals], place: Path, later: float = 0
) -> tuple[int, str]:
    """Start a command, send signals in quick succession at a moment; return exit code and stderr."""
    error = place / "stderr"
    with (place / "stdout").open("w") as stdout, error.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", _HEED_CTRL_C, "-m", "train", *map(str, arguments)],
            cwd=ROOT,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        wait_until(lambda: process.poll() is not None or (catches_sigterm(process.pid) and moment()))
        time.sleep(later)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05)
        return process.wait(SECONDS), error.read_text()
    finally:
        process.kill()
        process.wait()


def catches_sigterm(process: int) -> bool:
    """Whether a process has a handler for SIGTERM, which Python by itself has not."""
    status = Path(f"/proc/{process}/status")
    found = re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.MULTILINE) if status.exists() else None
    return found is None or bool(int(found[1], 16) & 1 << signal.SIGTERM - 1)


@BOTH
@pytest.mark.parametrize("later", [0.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (2.0, 4.0, 8.0))])
def test_the_first_seconds_of_a_comparison(numbers, code, later, prepared, tmp_path):
    """While modules are imported, data is prepared, or XLA compiles."""
    arguments = ["compare", TINY, "--out", tmp_path / "out", "--data-dir", prepared]
    result, error = stopped(arguments, lambda: True, numbers, tmp_path, later)
    assert result == code
    assert error == GOES_ON or re.fullmatch(r"stopped after step \d .*goes on from there\n", error)


@pytest.mark.slow
@BOTH
def test_after_the_last_step_while_the_run_is_evaluated(numbers, code, prepared, run, tmp_path):
    arguments = runs.command(tmp_path / "run", prepared)
    result, error = stopped(arguments, lambda: len(rows(tmp_path / "run")) == 3, numbers, tmp_path, 0.3)
    assert result == code
    assert error in (GOES_ON, "stopped after step 6 of 6; the same command goes on from there\n")
    assert not (tmp_path / "run" / "evaluation.json").exists()
    assert main(arguments) == 0
    assert rows(tmp_path / "run") == rows(run)
    assert (tmp_path / "run/evaluation.json").read_text() == (run / "evaluation.json").read_text()


@pytest.mark.slow
@BOTH
def test_between_the_images_of_a_prediction(numbers, code, tmp_path):
    make_run(tmp_path / "run", Experiment(tiny, gray_facts(("background", "scratch", "spot", "pit"))))
    (tmp_path / "images").mkdir()
    Image.new("L", (512, 512)).save(tmp_path / "image.png")
    images = [tmp_path / "images" / f"{i:04}.png" for i in range(2000)]
    for image in images:
        image.symlink_to(tmp_path / "image.png")
    table = tmp_path / "out" / "images.csv"
    arguments = ["predict", tmp_path / "run", tmp_path / "images", "--out", table.parent]
    arguments += ["--coco", "--labelme"]
    begun = lambda: table.exists() and table.read_text().count("\n") > 2  # noqa: E731
    assert stopped(arguments, begun, numbers, tmp_path) == (code, BEGINS)
    *whole, _ = table.read_text().split("\n")
    assert 2 < len(whole) < 2000
    for line in whole[1:]:
        with Image.open(table.with_name(line.split(",")[0] + ".png")) as image:
            image.load()
    for image in images[10:]:  # the rest of the work is long
        image.unlink()
    assert main([*map(str, arguments)]) == 0
    assert len(json.loads((table.parent / "coco.json").read_text())["images"]) == 10
    for image in images[:10]:
        assert json.loads((table.parent / f"{image.stem}.json").read_text())["imagePath"]


@pytest.mark.slow
@BOTH
def test_while_data_is_prepared(numbers, code, tmp_path):
    arguments = ["prepare", TINY, "--data-dir", tmp_path / "prepared", "--data.train", "5000"]
    begun = lambda: any((tmp_path / "prepared").rglob("incomplete*"))  # noqa: E731
    assert stopped(arguments, begun, numbers, tmp_path) == (code, BEGINS)
    assert main([*map(str, arguments[:-1]), "32"]) == 0
