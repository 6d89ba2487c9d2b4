"""What is shipped: the library alone, and nothing that it does not need."""

import email
import importlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import balanced_jax

ROOT = Path(__file__).parents[1]


TEXTS = ("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the sdist, and of the wheel that is built from it."""
    out = tmp_path_factory.mktemp("built")
    sources = tmp_path_factory.mktemp("sources")  # building leaves folders behind
    (sources / "tests").mkdir()
    (sources / "tests" / "test_of_a_clone.py").touch()
    for name in TEXTS:
        (sources / name).write_bytes((ROOT / name).read_bytes())
    for file in (ROOT / "balanced_jax").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            copy = sources / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, sources]
    subprocess.run(command, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    (file,) = built.glob("*.whl")
    return file


def test_the_sdist_holds_the_library_and_the_texts_and_nothing_else(built):
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    packed = {name for name in packed if ".egg-info/" not in name}
    assert packed == library() | {*TEXTS, "PKG-INFO", "setup.cfg"}


def library():
    return {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "balanced_jax").rglob("*")
        if file.suffix == ".py" or file.name == "py.typed"
    }


def test_the_wheel_holds_the_whole_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == library()
    assert f"-{balanced_jax.__version__}-" in wheel.name


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_asks_for_four_packages(wheel):
    needed = [line for line in metadata(wheel).get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.split(">")[0] for line in needed] == ["jax", "flax", "jaxtyping", "numpy"]


def test_no_requirement_has_an_upper_bound(wheel):
    for line in metadata(wheel).get_all("Requires-Dist", []):
        assert not re.search(r"<|==|~|!=", line.partition(";")[0]), line


def test_the_texts_that_an_index_shows_are_well_formed(built):
    command = [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()]
    subprocess.run(command, check=True, capture_output=True)


def test_the_citation_names_the_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {balanced_jax.__version__}" in lines


def test_public_names_change_together_with_the_changelog():
    recorded = json.loads((ROOT / "tests" / "public_names.json").read_text())
    modules = [importlib.import_module(f"balanced_jax.{name}") for name in balanced_jax.__all__]
    names = {
        module.__name__: sorted(getattr(module, "__all__", None) or defined_in(module)) for module in modules
    }
    assert names == recorded, "write in CHANGELOG.md what changes for a user, then in tests/public_names.json"


def defined_in(module):
    """Public functions and classes of a module without `__all__`."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def test_the_losses_work_from_the_wheel_alone(wheel):
    script = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "import balanced_jax.losses as losses, numpy as np\n"
        f"assert losses.__file__.startswith({str(wheel)!r})\n"
        "costs = losses.balanced_loss(np.zeros((8, 8, 2), np.float32), np.zeros((8, 8), int), window=3)\n"
        "assert costs.shape == (8, 8)\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'orbax', 'grain', 'matplotlib', 'tyro', 'optax'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, cwd=wheel.parent)
