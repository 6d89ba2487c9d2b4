"""The page of one's own images: its commands run on a small folder, and print what the page shows."""

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.photographs import photograph
from train.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/start/own_images.md"
PYTHON = ".venv/bin/python"
TINY = {
    "fit": "--epochs 1 --batch-size 8 --model.width 4 --model.depth 1 --input.crop 32 32",
    "export": "" if importlib.util.find_spec("jax2onnx") else "--no-onnx",
}
"""Flags that make a command quick, or possible."""


class Step(NamedTuple):
    """A block of commands and what the page says they print."""

    commands: list[str]
    printed: str


def steps() -> Iterator[Step]:
    """Yield the commands of the page, each block with the next block of text, if one follows at once."""
    page = PAGE.read_text()
    for match in re.finditer(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", page, re.MULTILINE | re.DOTALL):
        commands, printed = match.groups()
        yield Step(commands.replace("\\\n", "").splitlines(), printed or "")


def words(line: str) -> list[str]:
    """Return the words of a line, without numbers, and without what stands after "..."."""
    return re.findall(r"[A-Za-z_]{2,}", line.partition("...")[0])


def run(command: str) -> None:
    """Run a line of a shell; a command of this project in this process, which saves its start."""
    program, *arguments = shlex.split(command)
    if (program, arguments[:2]) == (PYTHON, ["-m", "train"]):
        name = arguments[2]
        assert main([*arguments[2:], *TINY.get(name, "").split()]) == 0
    elif Path(program).name != "pip":  # what the page installs is installed, or left out
        command = command.replace(PYTHON, shlex.quote(sys.executable))
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        print(done.stdout)


@pytest.mark.slow
def test_the_commands_of_the_page_print_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    photograph(tmp_path / "photographs", coils=20, size=64)
    photograph(tmp_path / "new_photographs", coils=2, size=64)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    [config] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "strip.py").write_text(config)
    for step in steps():
        for command in step.commands:
            if "model.onnx" in step.printed and TINY["export"]:
                continue
            run(command)
        output = capsys.readouterr().out.splitlines()
        lines = [words(line) for line in output]
        for shown in step.printed.splitlines():
            assert any(set(words(shown)) <= set(line) for line in lines), (shown, output)
