"""How a command answers: carried out, refused in one line, or wrong."""

import io
import os
import random
import re
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from train.__main__ import main

ROOT = Path(__file__).parents[2]
PROCESSES = 10


class Answer(NamedTuple):
    """What a command leaves to see."""

    code: int | str
    """The exit code, or the traceback that no command may end in."""
    error: str
    """What stands on stderr."""

    @property
    def kind(self) -> str:
        """What the answer is."""
        if self.code == 0 and not self.error:
            return "carried out"
        if self.code == 2 and re.fullmatch(r"error: [^;\s][^\n]+\n", self.error):
            return "refused in a line"
        return "wrong"


class Accepted(BaseException):
    """Raised in place of the work, once all that it needs was read and checked; no command catches it."""


def answer(line: Sequence[str], capsys: pytest.CaptureFixture) -> Answer:
    """Run a command in this process."""
    assert isinstance(sys.stderr, io.TextIOWrapper)
    sys.stderr.reconfigure(errors="backslashreplace")  # as a process has it
    try:
        code = main(list(line))
    except SystemExit as exit:
        code = exit.code or 0
    except Accepted:
        code = 0
    except BaseException:
        code = traceback.format_exc()
    return Answer(code, capsys.readouterr().err)


def check_as_processes(
    refused: Sequence[tuple[Sequence[str], Answer]], place: Path, chance: random.Random
) -> None:
    """Check that ten of the refused commands give one line as processes of their own, in a folder.

    The line names what it names here. The reason may differ: the tests check types of arguments, and of a
    damaged checkpoint orbax names the array that its threads read first.
    """
    for line, expected in chance.sample(refused, PROCESSES):
        process = subprocess.run(
            [sys.executable, "-m", "train", *map(os.fsencode, line)],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        given = Answer(process.returncode, process.stderr.decode())
        both = "\n".join(map(str, (line, *given, *expected)))
        assert given.kind == "refused in a line", both
        assert given.error.split()[:2] == expected.error.split()[:2], both
