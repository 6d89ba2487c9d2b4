"""A config.json from a stranger: what it may name, and what runs when it is read."""

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from balanced_jax.losses import dice_loss
from tests.tiny import TINY, config
from train import configfile
from train.config import Config
from train.configfile import ConfigFile, from_json, to_json
from train.errors import UserError

BUILDS = ("subprocess:check_output", "os:system", "builtins:exec", "train.run.files:write_text",
          "balanced_jax.models:load_pretrained", "functools:partial", "pathlib:Path",
          "train.run.checkpoints:Checkpoints", "collections:OrderedDict")  # fmt: skip
NAMES = ("subprocess:check_output", "os:system", "builtins:eval", "train.run.files:write_text",
         "train.run.directory:subprocess", "this:d", "optax:adam")  # fmt: skip
MALFORMED = (3, None, [], "", "dice_loss", ":", "a:b:c", "train.config:", "train..config:Config", "../x:y",
             "train.config:Config.__init__")  # fmt: skip


@pytest.fixture
def config_file(tmp_path):
    """A config file that leaves a trace when it runs."""
    path = tmp_path / "config.py"
    path.write_text(f"{TINY.read_text()}\nPath(r'{tmp_path / 'ran'}').touch()\n")
    return path


def field(value: Any) -> Any:
    """The tiny config in JSON, with this in place of a field."""
    return json.loads(json.dumps(to_json(config) | {"epochs": value}))


@pytest.mark.parametrize("address", BUILDS)
def test_what_a_file_names_is_not_called(address, tmp_path, config_file):
    trace = tmp_path / "called"
    for arguments in ({"args": ["touch", str(trace)]}, {"path": str(trace), "text": ""}, {}):
        with pytest.raises(UserError) as refused:
            from_json(field({"@type": address} | arguments), config_file)
        assert str(refused.value).startswith(f"{address}: ")
        assert "\n" not in str(refused.value)
    assert not trace.exists()


@pytest.mark.parametrize("address", NAMES)
def test_a_function_of_elsewhere_is_not_named(address, config_file):
    for value in (
        {"@function": address},
        {"@partial": {"@function": address}, "args": ["true"], "keywords": {}},
    ):
        with pytest.raises(UserError, match=rf"^{address}: is neither"):
            from_json(field(value), config_file)


@pytest.mark.parametrize("address", MALFORMED, ids=str)
def test_what_is_no_address_is_refused(address, config_file):
    for key in ("@type", "@function"):
        with pytest.raises(UserError, match="is no address"):
            from_json({key: address}, config_file)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"@type": "train.config:Nothing"}, "train.config:Nothing: this version of the project has no such"),
        ({"@type": "train.nowhere:Config"}, "train.nowhere:Config: this version of the project has no such"),
        ({"@type": "train.config:Ramp"}, r"train.config:Ramp: .*missing 2 required"),
        ({"@type": "train.config:Ramp", "begining": 1}, r"train.config:Ramp: .*unexpected keyword"),
        ({"@type": "train.config:Adam", "clip": "x"}, r"train.config:Adam: "),
        ({"@partial": 3, "args": [], "keywords": {}}, "takes a function"),
        ({"@partial": {"@function": "balanced_jax.losses:dice_loss"}}, "takes a function"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(value, message, config_file):
    with pytest.raises(UserError, match=message):
        from_json(value, config_file)


def test_a_config_of_this_project_never_runs_its_file(tmp_path, config_file):
    assert from_json(field(3), config_file) == config
    partial = from_json(to_json(functools.partial(dice_loss, smoothing=1.0)), config_file)
    assert (partial.func, partial.keywords) == (dice_loss, {"smoothing": 1.0})
    assert not (tmp_path / "ran").exists()
    assert from_json(field(3), tmp_path / "missing.py") == config


OWN = {
    "defined": "{code}\nconfig = {config}",
    "module": "import {name}\nconfig = {name}.config",
    "from": "from {name} import config",
    "renamed": "import {name} as other\nconfig = other.config",
}
CODE = """
from dataclasses import dataclass
import flax.linen as nn
from balanced_jax.losses import dice_loss
from train.config import Config, Term
from train.data.data_set import DataSet

def own_loss(logits, labels, *, weights=None):
    return dice_loss(logits, labels, weights=weights)

class OwnNetwork(nn.Module):
    num_classes: int = 2
    axis_name: str | None = None

@dataclass(frozen=True)
class OwnData(DataSet):
    size: int = 3

    def builder(self, *, data_dir, source):
        raise NotImplementedError

"""
CONFIG = "Config(data=OwnData(4), model=OwnNetwork(), objective={'own': Term(own_loss)})"


@pytest.mark.parametrize("how", OWN)
def test_objects_of_ones_own_keep_working(how, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_{how}"
    (tmp_path / f"{name}.py").write_text(f"{CODE}config = {CONFIG}\n")
    path = tmp_path / "mine.py"
    path.write_text(OWN[how].format(code=CODE, config=CONFIG, name=name))
    value = json.loads(json.dumps(to_json(ConfigFile(path, None).load())))
    module = "config" if how == "defined" else name
    assert value["data"] == {"@type": f"{module}:OwnData", "size": 4}
    copy = Path(shutil.copy(path, tmp_path / "config.py"))
    back = from_json(value, copy)
    assert isinstance(back, Config)
    assert to_json(back) == value


def test_objects_of_a_module_behind_the_one_that_is_imported_keep_working(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "behind.py").write_text(f"{CODE}config = {CONFIG}\n")
    (tmp_path / "front.py").write_text("import behind\nconfig = behind.config\n")
    path = tmp_path / "mine.py"
    path.write_text("from front import config")
    value = to_json(ConfigFile(path, None).load())
    assert value["data"]["@type"] == "behind:OwnData"
    assert to_json(from_json(value, path)) == value


def test_even_what_the_config_file_imports_is_not_called_unless_it_is_a_dataclass(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import subprocess\nfrom shutil import rmtree\n")
    for address in ("subprocess:check_output", "shutil:rmtree", "subprocess:Popen"):
        with pytest.raises(UserError, match=rf"^{address}: is no"):
            from_json({"@type": address, "args": ["true"]}, path)


def test_a_missing_or_broken_config_file_is_named(tmp_path):
    for text, message in (
        (None, "is missing"), ("config =", "SyntaxError"), ("exit(3)", "SystemExit"), ("\0", "Error"),
    ):  # fmt: skip
        path = tmp_path / f"{message}.py"
        if text is not None:
            path.write_text(text)
        with pytest.raises(UserError, match=rf"{message}.py: {message}|{message}.py: .*Error"):
            from_json({"@function": "config:own_loss"}, path)


def test_a_dataclass_that_could_not_be_read_again_is_not_written(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from dataclasses import dataclass\n@dataclass\nclass Loose:\n    size: int = 3\n")
    loose = ConfigFile(path, None).variables()["Loose"]
    with pytest.raises(UserError, match="frozen dataclasses"):
        configfile.to_json(loose())
