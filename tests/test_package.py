"""What is shipped: the library alone, and nothing that it does not need."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import balanced_jax

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    sources = tmp_path_factory.mktemp("sources")  # building leaves folders behind
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (sources / name).write_bytes((ROOT / name).read_bytes())
    for file in (ROOT / "balanced_jax").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            copy = sources / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, sources]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = out.glob("*.whl")
    return file


def test_the_wheel_holds_the_whole_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    library = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "balanced_jax").rglob("*")
        if file.suffix == ".py" or file.name == "py.typed"
    }
    assert shipped == library
    assert f"-{balanced_jax.__version__}-" in wheel.name


def test_the_wheel_asks_for_three_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert [line.split()[1].split(">")[0] for line in needed] == ["jax", "flax", "jaxtyping"]


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
