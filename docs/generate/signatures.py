"""Signatures as they are written: `Float[ArrayLike, "*batch h w"]` is a union of ten types at run time."""

import ast
import dataclasses
import inspect
import textwrap
from typing import Any

from docs.generate.fields import fields_of


def written_signature(function: Any) -> tuple[str, str] | None:
    """Return the arguments and the result of a function, or a network, as in its source; else None."""
    if inspect.isclass(function) and dataclasses.is_dataclass(function):
        fields = fields_of(function)
        return f"({', '.join(f'{field.name}={field.default}' for field in fields)})", ""
    if not inspect.isfunction(function):
        return None
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    if not isinstance(definition, ast.FunctionDef):
        return None
    arguments = definition.args
    if arguments.args[:1] and arguments.args[0].arg in ("self", "cls"):
        arguments.args.pop(0)
    returns = "" if definition.returns is None else ast.unparse(definition.returns)
    return f"({ast.unparse(arguments)})", returns
