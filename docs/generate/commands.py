"""Every command with its usage, its help and its flags."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast, get_args

import tyro

from docs.generate import kinds
from docs.generate.fields import Field, documentation, fields_of
from docs.generate.tables import code, table
from train.__main__ import COMMANDS
from train.commands.command import Command, ConfigCommand


def page() -> str:
    """Return a section for each command."""
    return "\n".join(section(name, command) for name, command in COMMANDS.items())


def section(name: str, command: type[Command]) -> str:
    """Return a heading, the usage, the help and a table of the flags of a command."""
    usage = f"```text\npython -m train {name} {command.usage}\n```"
    text = f"## {name}\n\n{usage}\n\n{documentation(command)}\n\n"
    text += table(("flag", "default", "meaning"), rows(command))
    if issubclass(command, ConfigCommand):
        text += "\nAnd every [field of the config](config.md), as `--section.field value`.\n"
    return text


def rows(kind: type) -> list[tuple[str, str, str]]:
    """Return flag, default and meaning of each field; those of a nested dataclass in its place."""
    found = []
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    for field in fields_of(kind):
        extras = get_args(field.hint)[1:] if hasattr(field.hint, "__metadata__") else ()
        nested = kinds.strip(field.hint)
        if field.name == "config" or tyro.conf.Suppress in extras:
            continue
        if dataclasses.is_dataclass(nested):
            found += rows(cast(type, nested))
        elif tyro.conf.Positional in extras:
            found.append((code(_positional(field, extras)), "", field.meaning))
        else:
            found.append((_flag(field), code(_shown(defaults[field.name])), field.meaning))
    return found


def _positional(field: Field, extras: Iterable[Any]) -> str:
    names = [extra.metavar for extra in extras if getattr(extra, "metavar", None)]
    return names[0] if names else "PATH..."


def _flag(field: Field) -> str:
    name = field.name.replace("_", "-")
    if kinds.strip(field.hint) is bool:
        return code(f"--{name}") + (f", {code(f'--no-{name}')}" if field.default == "True" else "")
    return code(f"--{name} {kinds.command_line(field.hint)}")


def _shown(default: Any) -> str | None:
    """Return a default as the command line takes it; None without one worth showing."""
    if isinstance(default, tuple):
        return " ".join(map(str, default)) or None
    worth_showing = isinstance(default, int | float | str | Path) and not isinstance(default, bool)
    return str(default) if worth_showing else None
