"""Tests with the oldest and the newest versions of what is needed: `python -m tests.versions [NAME ...]`.

Builds the wheel, and installs it into an environment for each row of ENVIRONMENTS. There the README's
examples run from the wheel alone, as for a stranger, and then the tests of the row. An environment whose
interpreter is neither on the path nor in pyenv, or whose framework cannot be installed, is left out by name.
"""

import itertools
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".versions"
LIBRARY = ("tests/balanced_jax", "balanced_jax")
APPLICATION = (
    "tests/train/test_parallel.py",
    "tests/train/training",
    "tests/train/inference",
    "tests/train/run/test_checkpoints.py",
    "tests/train/data/test_pipeline.py",
    "tests/end_to_end/test_commands.py",
)
"""What touches jax, flax, optax, orbax and grain."""


class Environment(NamedTuple):
    name: str
    python: str
    tests: tuple[str, ...] = ()
    """Arguments of pytest; without any, the README's examples alone."""
    oldest: bool = False
    """Whether to install the lower bounds of the library and of its tests, else the newest versions."""
    packages: tuple[str, ...] = ("optax",)
    """What is installed besides the wheel; optax for the README's examples."""
    framework: bool = False
    """Whether it may be left out if its packages cannot be installed."""
    required: bool = False
    """Whether its interpreter has to be there."""


def framework(package: str, example: str) -> Environment:
    """Return the environment of an example of another framework."""
    tests = ("-m", "slow", "tests/test_examples.py", "-k", example)
    return Environment(
        package, "3.13", tests, packages=("balanced_jax[test-library]", package), framework=True
    )


ENVIRONMENTS = (
    Environment("oldest", "3.11", LIBRARY, oldest=True, required=True),
    Environment("newest", "3.13", (*LIBRARY, *APPLICATION), packages=("balanced_jax[test]",)),
    Environment("python3.12", "3.12", LIBRARY, packages=("balanced_jax[test-library]",)),
    Environment("python3.14", "3.14", LIBRARY, packages=("balanced_jax[test-library]",)),
    framework("equinox", "equinox_module"),
    framework("dm-haiku", "haiku_transform"),
    framework("keras", "keras_fit"),
    framework("kauldron", "kauldron_loss"),
)


def interpreter(version: str) -> str | None:
    """Return the path of an interpreter that runs, None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python")):
        if candidate and not subprocess.run([candidate, "-c", ""], capture_output=True).returncode:
            return str(candidate)
    return None


def lower_bounds() -> list[str]:
    """Return the lower bounds of what the library and its tests need, as requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    extra = (extras[name] for name in ("pretrained", "skeleton", "test-library"))
    needed = [*project["dependencies"], *itertools.chain.from_iterable(extra)]
    return [line.replace(">=", "==") for line in needed if not line.startswith("balanced_jax")]


def install(environment: Environment, python: str, wheel: Path) -> Path:
    """Make the environment and return its interpreter."""
    folder = FOLDER / environment.name
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", python, folder], check=True)
    # An override whose marker never holds: TensorFlow is left out, which kauldron's losses do not need.
    overrides = FOLDER / "overrides.txt"
    overrides.write_text("tensorflow-cpu; python_version < '3'\n")
    packages = lower_bounds() if environment.oldest else environment.packages
    wheel_of = [f"balanced_jax @ {wheel.as_uri()}"]
    command = [*uv, "pip", "install", "--quiet", "--python", folder, "--overrides", overrides]
    subprocess.run([*command, *wheel_of, *packages], check=True)
    return folder / "bin" / "python"


def check(environment: Environment, python: Path) -> bool:
    """Return whether the README's examples and the tests pass, both with warnings as errors."""
    readme = [python, "-I", "-W", "error", "-m", "doctest", ROOT / "README.md"]
    pytest = [python, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *environment.tests]
    passed = environment.framework or not subprocess.run(readme, cwd=FOLDER).returncode
    return passed and not (environment.tests and subprocess.run(pytest, cwd=ROOT).returncode)


def main(names: list[str]) -> int:
    if unknown := {*names} - {environment.name for environment in ENVIRONMENTS}:
        sys.exit(f"there is no environment {', '.join(sorted(unknown))}")
    FOLDER.mkdir(exist_ok=True)
    shutil.rmtree(FOLDER / "dist", ignore_errors=True)
    build = [sys.executable, "-m", "build", "--no-isolation", "--quiet", "--outdir", FOLDER / "dist", ROOT]
    subprocess.run(build, check=True)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *FOLDER.glob("dist/*")], check=True)
    (wheel,) = FOLDER.glob("dist/*.whl")
    results = {}
    for environment in ENVIRONMENTS:
        if names and environment.name not in names:
            continue
        print(f"== {environment.name}", flush=True)
        start = time.monotonic()
        python = interpreter(environment.python)
        if not python:
            missing = f"no Python {environment.python} was found"
            results[environment.name] = f"{'FAILED' if environment.required else 'left out'}: {missing}"
            continue
        try:
            installed = install(environment, python, wheel)
        except subprocess.CalledProcessError:
            results[environment.name] = "left out: cannot be installed" if environment.framework else "FAILED"
            continue
        passed = check(environment, installed)
        results[environment.name] = f"{'passed' if passed else 'FAILED'} in {time.monotonic() - start:.0f} s"
    print(*(f"{name}: {result}" for name, result in results.items()), sep="\n")
    return int(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
