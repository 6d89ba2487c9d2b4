"""The site builds without a warning, and its reference has every public name."""

import json
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.slow


def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("sphinx")
    from sphinx.util.inventory import InventoryFile

    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", ROOT / "docs", tmp_path]
    built = subprocess.run(command, capture_output=True, text=True)
    assert not built.returncode, built.stderr
    inventory = InventoryFile.loads((tmp_path / "objects.inv").read_bytes(), uri="")
    described = {entry for entries in inventory.data.values() for entry in entries}
    names = json.loads((ROOT / "tests" / "public_names.json").read_text())
    assert {f"{module}.{name}" for module, each in names.items() for name in each} <= described
