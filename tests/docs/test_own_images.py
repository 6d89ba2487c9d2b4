"""The page of one's own images: its commands run on a small folder, and print what the page shows."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jaxtyping
import pytest

from tests.docs.photographs import photograph
from train.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/start/own_images.md"
PYTHON = ".venv/bin/python"
ONNX = importlib.util.find_spec("jax2onnx") is not None
ONNX_LINES = () if ONNX else ("model.onnx", "network's", "predict.py")
OTHER = ("1 of 24 images", "all pairs:", "error:", "coil", "new_photographs/", *ONNX_LINES)
"""Beginnings of lines that are not compared: of folders beside the page's own, and rows of predictions."""
TINY = {
    "fit": "--epochs 1 --batch-size 8 --model.width 4 --model.depth 1 --input.crop 32 32",
}
"""Flags that make a command quick."""


class Step(NamedTuple):
    """Commands, and the lines that the page says they print."""

    commands: list[str]
    printed: list[str]


def steps() -> list[Step]:
    """Return the commands of the page, each block with the blocks of text up to the next commands."""
    found = [Step([], [])]
    for kind, block in re.findall(r"^```(sh|text)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if kind == "sh":
            found.append(Step(block.replace("\\\n", "").splitlines(), []))
        else:
            found[-1].printed.extend(line for line in block.splitlines() if not line.startswith(OTHER))
    return found[1:]


def words(line: str) -> list[str]:
    """Return the words of a line, without numbers, and without what stands after "..."."""
    return re.findall(r"[A-Za-z_]{2,}", line.partition("...")[0])


def run(command: str) -> None:
    """Run a line of a shell; a command of this project in this process, which saves its start."""
    if not ONNX:
        command = command.replace("--size 256 256", "--no-onnx")
    program, *arguments = shlex.split(command)
    if (program, arguments[:2]) == (PYTHON, ["-m", "train"]):
        name = arguments[2]
        assert main([*arguments[2:], *TINY.get(name, "").split()]) == 0
    elif Path(program).name != "pip":  # what the page installs is installed, or left out
        command = command.replace(PYTHON, shlex.quote(sys.executable))
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        print(done.stdout)


@pytest.fixture
def unchecked():
    """Export traces images of any size, which is beyond the checks of shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    with jax.numpy_rank_promotion("allow"):
        yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_the_commands_of_the_page_print_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photograph(tmp_path / "photographs", coils=20, size=64)
    photograph(tmp_path / "new_photographs", coils=2, size=64, first=81)
    [config] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "strip.py").write_text(config)
    missing: list[str] = []
    for step in steps():
        if not ONNX and "exported/predict.py" in " ".join(step.commands):
            continue
        for command in step.commands:
            run(command)
        output = capsys.readouterr().out
        lines = [set(words(line)) for line in output.splitlines()]
        for shown in step.printed:
            if not any(set(words(shown)) <= line for line in lines):
                missing.append(f"{shown!r} after {step.commands}")
    assert not missing
