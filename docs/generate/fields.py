"""Fields of dataclasses with what their source says: the default as written, the docstring below."""

import ast
import dataclasses
import inspect
import textwrap
import typing
from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field of a dataclass or of a linen module."""

    name: str
    hint: Any
    """Resolved annotation, with what tyro is told."""
    default: str | None
    """Default, as it is written; None where a value must be given."""
    meaning: str
    """Docstring below the field, on one line; "" without one."""


def fields_of(kind: type) -> list[Field]:
    """Return the fields of a dataclass, those of its bases first."""
    found: dict[str, Field] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith(("train.", "balanced_jax.")):
            found |= {field.name: field for field in own_fields(base)}
    return list(found.values())


def own_fields(kind: type) -> list[Field]:
    """Return the fields that the body of a class defines."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    hints = typing.get_type_hints(kind, include_extras=True)
    names = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    found = []
    for statement, following in zip(definition.body, [*definition.body[1:], None], strict=True):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if (name := statement.target.id) not in names:  # a ClassVar
            continue
        text = following.value if isinstance(following, ast.Expr) else None
        meaning = text.value if isinstance(text, ast.Constant) else ""
        default = None if statement.value is None else _written(statement.value)
        found.append(Field(name, hints[name], default, one_line(meaning)))
    return found


def documentation(kind: Any) -> str:
    """Return a docstring as Markdown, in which its asterisks are no markup."""
    return (inspect.getdoc(kind) or "").replace("*", r"\*")


def one_line(text: Any) -> str:
    """Return a text without line breaks."""
    return " ".join(str(text).split())


def _written(value: ast.expr) -> str:
    """Return a default as a reader would write it: `{}` for `field(default_factory=dict)`."""
    written = ast.unparse(value).replace("'", '"')
    if (made := written.removeprefix("field(default_factory=")) == written:
        return written
    return {"dict)": "{}", "list)": "[]"}.get(made, made.replace(")", "()"))
