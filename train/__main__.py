"""`python -m train COMMAND ...`: the table of commands, and the exit codes."""

import sys

from train.commands.command import Command
from train.commands.compare import Compare
from train.commands.curves import Curves
from train.commands.evaluate import Evaluate
from train.commands.export import Export
from train.commands.fit import Fit
from train.commands.predict import Predict
from train.commands.prepare import Prepare
from train.commands.stats import Stats
from train.errors import Interrupted, NonFinite, UserError, suggestion
from train.run.log import console_handler, escape_unencodable, log_to

COMMANDS: dict[str, type[Command]] = {
    "prepare": Prepare,
    "stats": Stats,
    "fit": Fit,
    "compare": Compare,
    "curves": Curves,
    "evaluate": Evaluate,
    "predict": Predict,
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
    """Run a command and return its exit code, as listed in the README."""
    escape_unencodable()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    try:
        if name not in COMMANDS:
            raise UserError(f"{name}: no such command; {suggestion(name, COMMANDS, 'there are')}")
        with log_to(console_handler()):
            COMMANDS[name].parse(name, rest).run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except NonFinite as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("stopped; the same command goes on after the last whole epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
