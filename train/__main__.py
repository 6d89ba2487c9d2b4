"""`python -m train COMMAND ...`: the table of commands, and the exit codes."""

import contextlib
import errno
import sys

from train.run.interrupt import answer_signals

if __name__ == "__main__":  # before the imports below, which take seconds
    resumes = sys.argv[1:2] in (["fit"], ["compare"])
    hint = "goes on from the last checkpoint" if resumes else "begins again"
    answer_signals(f"stopped; the same command {hint}")

from train.commands.command import Command
from train.commands.compare import Compare
from train.commands.curves import Curves
from train.commands.evaluate import Evaluate
from train.commands.export import Export
from train.commands.fit import Fit
from train.commands.predict import Predict
from train.commands.prepare import Prepare
from train.commands.serve import Serve
from train.commands.stats import Stats
from train.errors import Interrupted, NonFinite, UserError, suggestion
from train.paths import check_address
from train.run.log import console_handler, guarded_stdout, log_to

_WRONG_PATH = (errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EPERM)
"""Errors of the system over a path that was given, whoever opens it."""

COMMANDS: dict[str, type[Command]] = {
    "prepare": Prepare,
    "stats": Stats,
    "fit": Fit,
    "compare": Compare,
    "curves": Curves,
    "evaluate": Evaluate,
    "predict": Predict,
    "serve": Serve,
    "export": Export,
}


def usage() -> str:
    """Return the list of commands, each with its first line of help."""
    lines = ["usage: python -m train COMMAND ...", ""]
    for name, command in COMMANDS.items():
        help_line = (command.__doc__ or "").partition("\n")[0]
        lines += [f"  {name} {command.usage}", f"      {help_line}"]
    return "\n".join(
        [
            *lines,
            "",
            "CONFIG is a Python file, such as configs/quickstart.py, or one of its configs, such as",
            "configs/quickstart.py:cross_entropy. Each command has its own --help.",
        ]
    )


def main(arguments: list[str]) -> int:
    """Run a command; return its exit code (docs/reference/commands.md). SystemExit where it cannot go on."""
    with guarded_stdout():
        try:
            return _run(arguments)
        except UserError as error:
            return _say(f"error: {error}", 2)
        except NonFinite as error:
            return _say(f"error: {error}", 1)
        except Interrupted as interrupted:
            return _say(f"{interrupted}", 143)
        except OSError as error:
            if error.errno not in _WRONG_PATH or error.filename is None:
                raise
            reason = UserError(f"{error.filename}: cannot be used ({error.strerror}); check the path")
            return _say(f"error: {reason}", 2)


def _run(arguments: list[str]) -> int:
    """Run a command and return its exit code, unless it fails."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        raise UserError(f"{name}: no such command; {suggestion(name, COMMANDS, 'there are')}")
    for argument in rest:
        check_address(argument.partition("=")[2] if argument.startswith("--") else argument)
    with log_to(console_handler()):
        COMMANDS[name].parse(name, rest).run()
    return 0


def _say(line: str, code: int) -> int:
    """Print a line on stderr, if it can be written, and return an exit code."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
