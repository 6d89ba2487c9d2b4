"""Config files: a Python file in, one `Config` out, and its complete form as JSON that finds the way back.

In JSON a dataclass or linen module is `{"@type": "module:Name", field: value, ...}`, a function
`{"@function": "module:name"}`, a partial `{"@partial": function, "args": [...], "keywords": {...}}`; a tuple
is a list. What the config file itself defines stands under the module name `config`.
"""

import dataclasses
import difflib
import functools
import hashlib
import importlib
import json
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import flax.linen as nn

from train.config import Config
from train.errors import UserError
from train.paths import Place

OWN_MODULE = "config"
"""Module name under which the functions and classes of a config file itself are kept."""


def split(argument: str) -> tuple[Path, str | None]:
    """The file and the name in `FILE` or `FILE:NAME`."""
    file, colon, name = argument.rpartition(":")
    # A path may hold a colon itself.
    return (Path(argument), None) if not colon or Path(argument).is_file() else (Path(file), name)


def load(path: Path, name: str | None = None) -> Config:
    """The `config` that a Python file ends in, or one of those it calls `configs`.

    Args:
        path: the file.
        name: key in its dictionary `configs`; None for `config`.

    Raises:
        UserError: there is no such file, it does not run, or it defines no such Config.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such config file; the ones that come with the project are in configs/")
    module = _run(path)
    if name is None:
        config = getattr(module, "config", None)
    else:
        configs = getattr(module, "configs", {})
        if name not in configs:
            near = difflib.get_close_matches(name, configs, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(configs) or 'none'}"
            raise UserError(f"{path}: has no {name!r} in its `configs`; {hint}")
        config = configs[name]
    if not isinstance(config, Config):
        raise UserError(f"{path}: must end in `config = Config(...)`, but has {type(config).__name__} there")
    return config


def to_json(value: Any, where: str = "config") -> Any:
    """A config, or a part of one, as JSON values.

    Raises:
        UserError: a value cannot be found again by its name (a lambda, a closure), or is of no known kind.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [to_json(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: to_json(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, functools.partial):
        return {
            "@partial": to_json(value.func, where),
            "args": to_json(value.args, where),
            "keywords": to_json(value.keywords, where),
        }
    if isinstance(value, FunctionType | type):
        return {"@function": _address(value, where)}
    if dataclasses.is_dataclass(value):
        fields = {name: to_json(getattr(value, name), f"{where}.{name}") for name in _field_names(value)}
        return {"@type": _address(type(value), where), **fields}
    raise UserError(
        f"{where}: {value!r} is not allowed in a config; take numbers, strings, tuples, dictionaries, "
        "module-level functions, functools.partial of them, or frozen dataclasses"
    )


def from_json(value: Any, own_file: Place) -> Any:
    """The inverse of `to_json`; what the config file defined is taken from `own_file`."""
    if isinstance(value, list):
        return tuple(from_json(item, own_file) for item in value)
    if not isinstance(value, dict):
        return value
    if "@function" in value:
        return _find(value["@function"], own_file)
    if "@partial" in value:
        function, args, keywords = (
            from_json(value[key], own_file) for key in ("@partial", "args", "keywords")
        )
        return functools.partial(function, *args, **keywords)
    fields = {key: from_json(item, own_file) for key, item in value.items() if key != "@type"}
    return _find(value["@type"], own_file)(**fields) if "@type" in value else fields


def digest(config: Config) -> str:
    """Eight hexadecimal digits that name the resolved config."""
    return hashlib.sha256(json.dumps(to_json(config), sort_keys=True).encode()).hexdigest()[:8]


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """The fields in which two configs in JSON form differ, as `field: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if old == new else [f"{where}: {json.dumps(old)} -> {json.dumps(new)}"]


def _field_names(value: Any) -> list[str]:
    """Fields that say what an object is; linen adds two that say where a module stands."""
    names = [field.name for field in dataclasses.fields(value) if field.init]
    return [n for n in names if n not in ("parent", "name")] if isinstance(value, nn.Module) else names


def _address(thing: Any, where: str) -> str:
    address = f"{thing.__module__}:{thing.__qualname__}"
    module = sys.modules.get(thing.__module__)
    if getattr(module, thing.__qualname__, None) is not thing:
        raise UserError(
            f"{where}: {thing.__qualname__} cannot be found again by name; define it with def at the top "
            "level of a module, or take functools.partial of such a function"
        )
    return address


def _find(address: str, own_file: Place) -> Any:
    module_name, name = address.split(":")
    module = _run(own_file) if module_name == OWN_MODULE else importlib.import_module(module_name)
    return getattr(module, name)


@functools.cache
def _run(path: Place) -> ModuleType:
    module = ModuleType(OWN_MODULE)
    module.__file__ = str(path)
    sys.modules[OWN_MODULE] = module
    try:
        exec(compile(path.read_bytes(), path, "exec"), vars(module))
    except Exception as error:
        raise UserError(f"{path}: {type(error).__name__}: {error}") from error
    return module
