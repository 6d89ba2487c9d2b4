"""Values of fields against their annotations: the few kinds of types that configs have."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from train.errors import UserError


def check_types(kind: type, instance: Any, where: str = "") -> None:
    """Refuse an instance with a value that is not of the type of its field.

    Args:
        kind: the dataclass whose fields are checked, without those that a subclass adds.
        instance: of the dataclass.
        where: stands before the name of the field in the message, such as "input.".

    Raises:
        UserError: names the field, the value and the type.
    """
    if misfit := find_misfit(kind, vars(instance)):
        raise UserError(f"{where}{misfit}")


def find_misfit(kind: type, fields: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first value that is not of the type of its field; None if all are.

    Args:
        kind: a dataclass.
        fields: values by name; a name that is no field is left to the constructor.
    """
    hints = typing.get_type_hints(kind)
    for name, value in fields.items():
        if name in hints and not _fits(value, hints[name]):
            shown = " ".join(repr(value).split())
            return f"{name}: is {shown:.60}, takes {inspect.formatannotation(hints[name])}"
    return None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; true of types that are not known here."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return any(type(value) is type(each) and value == each for each in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[1:] == (...,):
            return all(_fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin in (dict, Mapping):
        return isinstance(value, origin) and all(
            _fits(key, arguments[0]) and _fits(item, arguments[1]) for key, item in value.items()
        )
    if origin is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str)
    if origin is Callable or hint is Callable:
        return callable(value)
    if hint in (int, float):  # a whole number is a number, and a truth value is none
        return isinstance(value, int | hint) and not isinstance(value, bool)
    if not isinstance(hint, type) or hint is Any:
        return True
    return isinstance(value, hint) or (dataclasses.is_dataclass(hint) and _acts_as(value, hint))


def _acts_as(value: Any, kind: type) -> bool:
    """Whether an object of the user's own class has all methods of a dataclass, of which there are any."""
    methods = [name for name, each in vars(kind).items() if name[0] != "_" and callable(each)]
    return (
        not isinstance(value, type)
        and bool(methods)
        and all(callable(getattr(value, name, None)) for name in methods)
    )
