"""Typed records to JSON and back: frozen dataclasses of numbers, strings, tuples, lists and dictionaries."""

from typing import Any, TypeVar

import cattrs

Record = TypeVar("Record")

_converter = cattrs.Converter(forbid_extra_keys=True)


def to_json(record: Any) -> Any:
    """Return a record, or a list or dictionary of records, as JSON values."""
    return _converter.unstructure(record)


def from_json(value: Any, kind: type[Record]) -> Record:
    """Return the record that JSON values hold.

    Raises:
        cattrs.BaseValidationError: the values are not of this kind.
    """
    return _converter.structure(value, kind)
