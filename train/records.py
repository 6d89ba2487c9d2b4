"""Typed records to JSON and back: frozen dataclasses of numbers, strings, tuples, lists and dictionaries."""

from typing import Any, TypeVar

import cattrs
from cattrs.v import format_exception

Record = TypeVar("Record")

_converter = cattrs.Converter(forbid_extra_keys=True)


def to_json(record: Any) -> Any:
    """Return a record, or a list or dictionary of records, as JSON values."""
    return _converter.unstructure(record)


def from_json(value: Any, kind: type[Record]) -> Record:
    """Return the record that JSON values hold.

    Raises:
        ValueError: the values are not of this kind, or the record refuses them; names the first field.
    """
    try:
        return _converter.structure(value, kind)
    except Exception as error:  # of whatever kind a value of another type leads to
        text, _, place = cattrs.transform_error(error, "$", _describe)[0].rpartition(" @ $")
        raise ValueError(f"{place.lstrip('.')}: {text}" if place else text) from error


def _describe(error: BaseException, kind: type | None) -> str:
    """Describe an error over a value; a record that refuses its values describes them itself."""
    if isinstance(error, AttributeError):  # a record was looked for, and there are no keys
        return "is no object with fields"
    return str(error) if isinstance(error, ValueError) else format_exception(error, kind)


def _number(value: Any, _: Any) -> float:
    return float(_of_kind(value, int | float, "a number"))


def _of_kind(value: Any, kind: Any, name: str) -> Any:
    """Return a value of a kind; cattrs would turn any other into one, such as 2.7 into 2."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"is {value!r:.40}, takes {name}")
    return value


_converter.register_structure_hook(float, _number)
_converter.register_structure_hook(int, lambda value, _: _of_kind(value, int, "a whole number"))
_converter.register_structure_hook(str, lambda value, _: _of_kind(value, str, "a text"))
