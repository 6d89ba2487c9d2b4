"""A command from its flags; a wrong argument is one line in the place of tyro's panel of several."""

import contextlib
import io
import re
from typing import Any, TypeVar

import tyro

from train.errors import UserError

Parsed = TypeVar("Parsed")

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"^(?:│ |  )(.*?) *│?$", re.MULTILINE)
"""A line inside of a panel, which has no borders where stdout is ASCII."""
_RULE = re.compile(r"^[─-]+$", re.MULTILINE)
_FLAG = re.compile(r"--[a-z][\w.-]*")
_PLAIN = {
    r"no type matching .* could be instantiated from \[(.*)\]": r"cannot be \1",
    r"invalid literal for int\(\) with base 10: ": "takes a whole number, not ",
    r"could not convert string to float: ": "takes a number, not ",
}
"""Messages of Python and tyro, and what they mean."""


def parse_arguments(kind: type[Parsed], arguments: list[str], *, prog: str, **options: Any) -> Parsed:
    """Return what `tyro.cli` makes of arguments.

    Args:
        kind: dataclass to be made.
        arguments: after the name of the command.
        prog: the command, as help and messages name it.
        options: of `tyro.cli`.

    Raises:
        UserError: an argument is wrong; the message says what tyro's panel does.
        SystemExit: help was asked for, and printed.
    """
    if arguments[:1] and arguments[0].startswith("--tyro"):  # tyro's own flags, for completion in a shell
        raise UserError(f"{arguments[0]}: no such flag; {prog} --help lists the flags")
    panel = io.StringIO()
    try:
        with contextlib.redirect_stderr(panel):
            return tyro.cli(kind, args=arguments, prog=prog, **options)
    except SystemExit as end:
        if not end.code or not panel.getvalue():  # the reader of the help has gone
            raise
    raise UserError(_one_line(panel.getvalue(), prog))


def _one_line(panel: str, prog: str) -> str:
    """Return the message of a panel with a remedy: the flag that was meant, how it is written, or the help.

    A panel has the message first, and between rules the flags that it is about, indented by four, each with
    its help, indented by eight.
    """
    text = "\n".join(_LINE.findall(_STYLE.sub("", panel)))
    message, *others = (section.strip("\n") for section in _RULE.split(text))
    first = " ".join(line.strip() for line in message.split("\n\n")[0].splitlines() if line[:8].strip())
    first = re.sub(r"^Error parsing (config\.)?", "", first).rstrip(".")
    for words, plain in _PLAIN.items():
        first = re.sub(words, plain, first)
    for section in others:
        heading, _, usage = section.partition("\n")
        if heading == "Perhaps you meant:" and (meant := _FLAG.search(usage)):
            return f"{first}; did you mean {meant[0]}?"
        if heading == "Argument helptext:":
            return f"{first}; write {usage.partition(chr(10))[0].strip()}"
    return f"{first}; {prog} --help lists the flags"
