"""Fields of a config by their path on the command line, such as `objective.dice.scale`."""

import ast
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, TypeVar

import flax.linen as nn

from train.errors import UserError, suggestion

Node = TypeVar("Node")


def replace_field(config: Node, path: str, value: Any) -> Node:
    """Return a config with another value at a path of fields and keys of dictionaries.

    The options of a loss or mask may be new keys, because `check_objective` knows which there are.

    Raises:
        UserError: there is no such field, or the value is of another kind than the value it replaces.
    """
    return _replace(config, path.split("."), value, path)


def parse_value(text: str) -> Any:
    """Return the number, None, bool or tuple that a text writes in Python; another text as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return text


def _replace(node: Any, keys: list[str], value: Any, path: str) -> Any:
    if not keys:
        kinds = _kind(node), _kind(value)
        # A number may stand in the place of a Ramp.
        if kinds[0] != kinds[1] and None not in (node, value) and kinds != ("an object", "a number"):
            raise UserError(f"{path}: is {kinds[0]}, but {value!r} is {kinds[1]}")
        return value
    key, *rest = keys
    if isinstance(node, Mapping):
        is_option = not rest and path.split(".")[-2].endswith("options")
        if key not in node and not is_option:
            raise UserError(f"{path}: there is no {key}; {suggestion(key, list(node), 'there are')}")
        return {**node, key: _replace(node[key], rest, value, path) if key in node else value}
    names = [name for name in getattr(node, "__dataclass_fields__", ()) if name not in ("parent", "name")]
    if key not in names:
        raise UserError(f"{path}: there is no field {key}; {suggestion(key, names, 'there are')}")
    changed = {key: _replace(getattr(node, key), rest, value, path)}
    replace = node.clone if isinstance(node, nn.Module) else functools.partial(dataclasses.replace, node)
    try:
        return replace(**changed)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {value!r} is refused ({error})") from error


def _kind(value: Any) -> str:
    for kind, name in ((bool, "a bool"), (int | float, "a number"), (str, "a text"), (tuple, "a tuple")):
        if isinstance(value, kind):
            return name
    return "an object"
