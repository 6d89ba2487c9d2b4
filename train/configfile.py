"""Config files: a Python file in, one `Config` out; and a config as JSON that can be read back.

In JSON a dataclass or linen module is `{"@type": address, field: value, ...}`, a function
`{"@function": address}`, a partial `{"@partial": function, "args": [...], "keywords": {...}}`; a tuple is a
list. An address is the shortest `module:name` that imports the object, such as
`balanced_jax.losses:dice_loss`, so that files may move inside a package. Objects that the config file defines
have the module name `config`.

A file in JSON may come from a stranger. Reading it calls nothing but frozen dataclasses and linen modules,
and takes objects from two places alone: this project, and the config file of the run, as far as that defines
or imports them. The config file is code: it is run where the JSON names an object that this project lacks.
"""

import dataclasses
import functools
import hashlib
import importlib
import json
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeVar

import flax.linen as nn

from train.config import Config
from train.errors import UserError, suggestion
from train.field_types import find_misfit
from train.paths import AnyPath

Found = TypeVar("Found")

_CONFIG_MODULE = "config"
"""Module name of the functions and classes that a config file defines."""
_PROJECT = ("balanced_jax", "train")
"""Packages whose dataclasses and linen modules a file in JSON may name."""
_LIBRARY, _OBJECTIVES = "balanced_jax", "configs.objectives"
"""The package and the module whose functions a file in JSON may name: of arrays, without effects."""


class ConfigFile(NamedTuple):
    """A config on the command line: `FILE`, or `FILE:NAME` for one of the configs of a file."""

    path: AnyPath
    name: str | None
    """Key in the dictionary `configs` of the file; None for `config`."""

    @classmethod
    def parse(cls, argument: str) -> "ConfigFile":
        """Split `FILE` or `FILE:NAME`."""
        file, colon, name = argument.rpartition(":")
        # A path may hold a colon.
        return cls(Path(argument), None) if not colon or Path(argument).is_file() else cls(Path(file), name)

    @property
    def title(self) -> str:
        """The name of runs of this config."""
        return self.path.stem if self.name is None else f"{self.path.stem}-{self.name}"

    def load(self) -> Config:
        """Run the file and return its config.

        Raises:
            UserError: there is no such file, it does not run, or it defines no such Config.
        """
        return self.find("config", Config)

    def find(self, variable: str, *kinds: type[Found]) -> Found:
        """Run the file and return the object in a variable, or of this name in the dictionary of its plural.

        Raises:
            UserError: there is no such file, it does not run, or it defines no such object.
        """
        if self.name is None:
            found = self.variables().get(variable)
        else:
            named = self.named(variable)
            if self.name not in named:
                hint = suggestion(self.name, named, "it has")
                raise UserError(f"{self.path}: has no {self.name!r} in its `{variable}s`; {hint}")
            found = named[self.name]
        if not isinstance(found, kinds):
            expected, kind = kinds[0].__name__, type(found).__name__
            raise UserError(f"{self.path}: must end in `{variable} = {expected}(...)`, but has {kind} there")
        return found

    def named(self, variable: str) -> dict[str, Any]:
        """Run the file and return the dictionary of the plural of a variable; empty if there is none.

        Raises:
            UserError: there is no such file, it does not run, or the plural is no dictionary by name.
        """
        named = self.variables().get(f"{variable}s", {})
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named):
            raise UserError(f"{self.path}: `{variable}s` is no dictionary whose keys are names")
        return named

    def variables(self) -> dict[str, Any]:
        """Run the file and return its variables.

        Raises:
            UserError: there is no such file, or it does not run.
        """
        if not self.path.is_file():
            raise UserError(
                f"{self.path}: no such config file; the ones that come with the project are in configs/"
            )
        return vars(_run(self.path))


def to_json(value: Any, where: str = "config") -> Any:
    """Return a config, or a part of one, as JSON values.

    Raises:
        UserError: a value cannot be imported by its name (a lambda, a closure), or is of no known kind.
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
    if _is_buildable(type(value)):
        fields = {name: to_json(getattr(value, name), f"{where}.{name}") for name in _field_names(value)}
        return {"@type": _address(type(value), where), **fields}
    raise UserError(
        f"{where}: {value!r} is not allowed in a config; take numbers, strings, tuples, dictionaries, "
        "module-level functions, functools.partial of them, or frozen dataclasses"
    )


def from_json(value: Any, config_file: AnyPath) -> Any:
    """Return the value that `to_json` turned into JSON.

    Functions are named, never called; only frozen dataclasses and linen modules are built.

    Args:
        value: JSON values.
        config_file: the config file, which is run if the values name an object that this project lacks.

    Raises:
        UserError: an object is not of this project, and the config file neither defines nor imports it; or
            it refuses its fields. The message names the address.
    """
    if isinstance(value, list):
        return tuple(from_json(item, config_file) for item in value)
    if not isinstance(value, dict):
        return value
    if "@function" in value:
        return _find(value["@function"], config_file)
    if "@partial" in value:
        function, args, keywords = (
            from_json(value.get(key), config_file) for key in ("@partial", "args", "keywords")
        )
        if not (callable(function) and isinstance(args, tuple) and isinstance(keywords, dict)):
            raise UserError(f"{json.dumps(value)}: takes a function, a list `args` and an object `keywords`")
        return functools.partial(function, *args, **keywords)
    fields = {key: from_json(item, config_file) for key, item in value.items() if key != "@type"}
    return _build(value["@type"], fields, config_file) if "@type" in value else fields


def digest(config: Config) -> str:
    """Return eight hexadecimal digits that identify the resolved config."""
    return hashlib.sha256(json.dumps(to_json(config), sort_keys=True).encode()).hexdigest()[:8]


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return the fields in which two configs in JSON form differ, as `field: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if old == new else [f"{where}: {json.dumps(old)} -> {json.dumps(new)}"]


def public_address(thing: Any) -> str | None:
    """Return the shortest `module:name` that imports a function or class; None if no module has it."""
    packages = thing.__module__.split(".")
    for length in range(1, len(packages) + 1):
        module = ".".join(packages[:length])
        if getattr(sys.modules.get(module), thing.__qualname__, None) is thing:
            return f"{module}:{thing.__qualname__}"
    return None


def _field_names(value: Any) -> list[str]:
    """Return the fields that make an object, without those by which linen places a module in another."""
    names = [field.name for field in dataclasses.fields(value) if field.init]
    return [n for n in names if n not in ("parent", "name")] if isinstance(value, nn.Module) else names


def _address(thing: Any, where: str) -> str:
    address = public_address(thing)
    if address is None:
        raise UserError(
            f"{where}: {thing.__qualname__} cannot be found again by name; define it with def at the top "
            "level of a module, or take functools.partial of such a function"
        )
    return address


def _build(address: Any, fields: dict[str, Any], config_file: AnyPath) -> Any:
    """Return an object of the class at an address."""
    kind = _find(address, config_file)
    if not _is_buildable(kind):
        raise UserError(f"{address}: is no frozen dataclass and no linen module, so it is not called")
    # The annotations of a user's own class may be wrong, and nobody notices.
    if _is_ours(kind) and (misfit := find_misfit(kind, fields)):
        raise UserError(f"{address}: {misfit}")
    try:
        return kind(**fields)
    except Exception as error:  # of whatever kind a user's own class raises
        raise UserError(f"{address}: {' '.join(str(error).split())}") from error


def _is_buildable(kind: Any) -> bool:
    """Whether reading a file may call this: a frozen dataclass or a linen module."""
    return (
        isinstance(kind, type)
        and dataclasses.is_dataclass(kind)
        and (issubclass(kind, nn.Module) or kind.__dataclass_params__.frozen)  # pyright: ignore[reportAttributeAccessIssue]
    )


def _find(address: Any, config_file: AnyPath) -> Any:
    """Return the function or class at an address, from this project or from what the config file offers."""
    module_name, _, name = address.partition(":") if isinstance(address, str) else ("", "", "")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise UserError(f"{json.dumps(address)}: is no address, such as balanced_jax.losses:dice_loss")
    thing = None
    if module_name == _OBJECTIVES or module_name.split(".")[0] in _PROJECT:
        try:
            thing = getattr(importlib.import_module(module_name), name)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{address}: this version of the project has no such object") from error
        if _is_ours(thing):
            return thing
    thing = _offered(module_name, name, config_file)
    if not isinstance(thing, FunctionType | type):
        raise UserError(
            f"{address}: is neither a function or dataclass of this project nor defined or imported "
            f"by {config_file}, so it is not used; import what is your own there"
        )
    return thing


def _is_ours(thing: Any) -> bool:
    """Whether an object is a dataclass or linen module of this project, or a function for objectives."""
    if not isinstance(thing, FunctionType | type):
        return False
    package = thing.__module__.split(".")[0]
    is_for_objectives = package == _LIBRARY or thing.__module__ == _OBJECTIVES
    return is_for_objectives or (package in _PROJECT and _is_buildable(thing))


def _offered(module_name: str, name: str, config_file: AnyPath) -> Any:
    """Run a config file; return an object that it defines or imports, or None. No other module is imported.

    These are, once the file has run: the values of its variables, the functions and classes of a module among
    them, and all that its configs and comparisons are made of, which may come from modules behind those.
    """
    variables = {key: value for key, value in vars(_run(config_file)).items() if not key.startswith("__")}
    if module_name == _CONFIG_MODULE:
        return variables.get(name)
    module = sys.modules.get(module_name)
    thing = getattr(module, name, None)
    if any(value is thing or value is module for value in variables.values()):
        return thing
    return (
        thing if any(f"{module_name}:{name}" in _addresses(value) for value in variables.values()) else None
    )


def _addresses(value: Any) -> set[str]:
    """Return the addresses of the functions and classes in a config, a dataclass or a dictionary of these."""
    if not isinstance(value, dict) and not _is_buildable(type(value)):
        return set()
    try:
        text = json.dumps(to_json(value))
    except (UserError, TypeError):  # a dictionary with keys of another kind
        return set()
    found: set[str] = set()

    def collect(pairs: list[tuple[str, Any]]) -> None:
        found.update(item for key, item in pairs if key in ("@type", "@function"))

    json.loads(text, object_pairs_hook=collect)
    return found


@functools.cache
def _run(path: AnyPath) -> ModuleType:
    module = ModuleType(_CONFIG_MODULE)
    module.__file__ = str(path)
    sys.modules[_CONFIG_MODULE] = module
    try:
        exec(compile(path.read_bytes(), path, "exec"), vars(module))
    except UserError as error:  # of a dataclass that refuses its numbers
        raise UserError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        if path.exists():  # another file, which the config file opens
            raise UserError(f"{path}: {type(error).__name__}: {error}") from error
        raise UserError(f"{path}: is missing, but defines or imports objects of the config") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, too: a config does not decide the exit code
        problem = " ".join(str(error).split())
        raise UserError(f"{path}: {type(error).__name__}: {problem}") from error
    return module
