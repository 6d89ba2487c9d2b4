"""Types in words: as Python writes them, as a command line takes them, as JSON holds them."""

import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from etils import epath


def strip(hint: Any) -> Any:
    """Return an annotation without what tyro is told."""
    return get_args(hint)[0] if get_origin(hint) is typing.Annotated else hint


def alternatives(hint: Any) -> list[Any]:
    """Return the members of a union, or the type alone."""
    return list(get_args(hint)) if get_origin(hint) in (typing.Union, types.UnionType) else [hint]


def python(hint: Any) -> str:
    """Return a type as a config writes it."""
    hint = strip(hint)
    if hint in (None, type(None)):
        return "None"
    if hint is ...:
        return "..."
    if len(each := alternatives(hint)) > 1:
        return " | ".join(map(python, each))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in arguments)
    name = getattr(origin or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(python, arguments))}]" if arguments else name


def command_line(hint: Any) -> str:
    """Return what a flag of this type takes, such as "INT INT"."""
    hint = strip(hint)
    given = [each for each in alternatives(hint) if each is not type(None)]
    if len(given) > 1:
        return "|".join(map(command_line, given))
    (hint,) = given
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "{" + ",".join(map(str, arguments)) + "}"
    if origin is tuple:
        if arguments[1:] == (...,):
            return f"{command_line(arguments[0]).removesuffix(' ...')} ..."
        return " ".join(map(command_line, arguments))
    return "PATH" if hint in (Path, epath.Path) else "TEXT" if hint is str else str(hint.__name__).upper()


def json(hint: Any, link: Callable[[type], str]) -> str:
    """Return what JSON holds for a type, in words; `link` makes the text of a record."""
    if len(each := alternatives(hint)) > 1:
        return " or ".join(json(one, link) for one in each)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (dict, Mapping):
        return f"object of {_several(arguments[1], link)}"
    if origin is list or arguments[1:] == (...,):
        return f"list of {_several(arguments[0], link)}"
    if origin is tuple:
        return f"list of {len(arguments)} {_several(arguments[0], link)}"
    if origin is Literal:
        return python(hint).replace("|", "or")
    if isinstance(hint, TypeVar):
        return "a value"
    names = {float: "number", int: "whole number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(hint) or link(origin or hint)


def _several(hint: Any, link: Callable[[type], str]) -> str:
    """Return the plural of what JSON holds for a type; the name of a record has none."""
    return re.sub(r"(number|text|list|object)\b(?!s)", r"\1s", json(hint, link), count=1)
