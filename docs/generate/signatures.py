"""Signatures as they are written: `Float[ArrayLike, "*batch h w"]` is a union of ten types at run time."""

import ast
import inspect
import textwrap
from typing import Any


def written_signature(function: Any) -> tuple[str, str] | None:
    """Return the arguments and the result of a function as in its source; None for anything else."""
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
