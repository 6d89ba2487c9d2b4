"""The two kinds of commands: on a config file, and on a run directory."""

import inspect
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import tyro
from etils import epath

from train.commands.arguments import parse_arguments
from train.config import Config
from train.configfile import ConfigFile
from train.errors import UserError
from train.run.checkpoints import Choice
from train.run.directory import is_run, read_run

_ADDRESS = re.compile(r"[a-z0-9]{2,}:/\w")
"""The beginning of the address of a bucket, as pathlib writes it: gs:/bucket."""


def require(holds: bool, name: str, value: Any, takes: str) -> None:
    """Raise a UserError that names the flag of a field, unless a condition holds."""
    if not holds:
        raise UserError(f"--{name.replace('_', '-')}: is {value}, takes {takes}")


def check_memory(memory: float) -> None:
    """Refuse a memory that is no number of GiB.

    Raises:
        UserError: names the flag.
    """
    require(0 <= memory < math.inf, "memory", memory, "at least 0 GiB")


class Command(ABC):
    """A frozen dataclass whose fields are the flags of a command and whose docstring is its help.

    The first line of the docstring and `usage` make the line of the command in the list of commands.
    """

    usage: ClassVar[str]

    def __post_init__(self):
        """Refuse the address of a bucket where a flag takes a folder on a disk."""
        for name, value in vars(self).items():
            if isinstance(value, Path):
                require(not _ADDRESS.match(str(value)), name, value, "a folder on a disk")

    @classmethod
    @abstractmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Return the command for the arguments after its name.

        Raises:
            UserError: an argument is wrong.
            SystemExit: help was asked for, and printed.
        """

    @abstractmethod
    def run(self) -> None:
        """Do the work."""


@dataclass(frozen=True, kw_only=True)
class ConfigCommand(Command):
    """A command on a config, whose fields are flags as well."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    config_file: tyro.conf.Suppress[ConfigFile]
    data_dir: Path = Path("prepared")
    """Folder of prepared data sets."""
    source: Path | None = None
    """Folder of the unpacked archive of the data set, for those that need one."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Read the config file that is the first argument, and the flags that follow."""
        if arguments[:1] in (["-h"], ["--help"]):
            print(f"usage: python -m train {name} {cls.usage}\n\n{inspect.getdoc(cls)}\n")
            print(f"The flags depend on the config: python -m train {name} CONFIG --help lists them.")
            raise SystemExit(0)
        if not arguments or arguments[0].startswith("-"):
            raise UserError(f"{name}: needs a config file first, such as configs/quickstart.py")
        return parse_arguments(
            cls,
            arguments[1:],
            prog=f"python -m train {name} {arguments[0]}",
            default=cls.default(arguments[0]),
            config=(tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed),
        )

    @classmethod
    def default(cls, argument: str) -> Self:
        """Return the command without flags on a config file, or on the config of a run directory."""
        run_dir = epath.Path(argument)
        if is_run(run_dir):
            config, _ = read_run(run_dir)
            return cls(config=config, config_file=ConfigFile(run_dir / "config.py", None))
        config_file = ConfigFile.parse(argument)
        return cls(config=config_file.load(), config_file=config_file)


@dataclass(frozen=True, kw_only=True)
class RunCommand(Command):
    """A command on a trained run."""

    run_dir: Annotated[epath.Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR")]
    """Run directory that `fit` made."""
    checkpoint: Choice = "best"
    """The best checkpoint on the validation part, or the latest."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Read the flags."""
        return parse_arguments(cls, arguments, prog=f"python -m train {name}")
