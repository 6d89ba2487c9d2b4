"""The reference names every command, flag, field and public name."""

import ast
import dataclasses
import importlib
import inspect
import json

import pytest

from docs.generate import commands, configs, fields, records
from tests.docs.pages import ROOT
from train.__main__ import COMMANDS
from train.config import Config

API = ROOT / "docs" / "reference" / "api"
NAMES = json.loads((ROOT / "tests" / "public_names.json").read_text())


def assigned(module: str) -> set[str]:
    """Return the public names that a module assigns: constants and types."""
    body = ast.parse(inspect.getsource(importlib.import_module(module))).body
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_is_on_a_page(module):
    pages = "".join(path.read_text() for path in API.glob("*.md"))
    listed = {line.split()[-1].rpartition(".")[2] for line in pages.splitlines() if ".. auto" in line}
    assert not {*NAMES[module], *assigned(module)} - listed


def test_every_command_and_its_flags_are_listed():
    text = commands.page()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(COMMANDS)
    for flag in ("--data-dir PATH", "--no-onnx", "--tile INT INT", "--out PATH", "--vary", "RUN_DIR"):
        assert f"`{flag}" in text
    assert "config_file" not in text


@pytest.mark.parametrize("kind", [kind for kind in configs.SECTIONS if dataclasses.fields(kind)])
def test_every_field_of_a_config_is_listed_with_its_meaning(kind):
    text = configs.page()
    listed = fields.fields_of(kind)
    for field in listed:
        assert f"| `{field.name}` | {field.meaning} |" in text
        assert field.meaning
    assert [field.name for field in listed] == [field.name for field in dataclasses.fields(kind)]


def test_defaults_and_types_are_shown_as_they_are_written():
    rows = {field.name: field for field in fields.fields_of(Config)}
    assert rows["epochs"].default == "100"
    assert rows["data"].default is None
    assert "| `tuple[int, int] \\| None` | `None` |" in configs.page()


def test_every_record_of_a_run_has_one_table():
    text = "".join(records.pages().values())
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert len(headings) == len(set(headings))
    assert "|  |" not in text, "a field without a meaning"
    assert {"### EpochRecord", "### Evaluation", "### ComparisonRecord", "### LabelStatistics"} <= {*headings}
