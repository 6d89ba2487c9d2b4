"""A command that refuses its arguments."""

from collections.abc import Sequence
from typing import Any

from train.__main__ import main


def refused(command: str, arguments: Sequence[Any], capsys: Any) -> str:
    """Run a command that must exit with 2; return its message, one line on stderr."""
    assert main([command, *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error
