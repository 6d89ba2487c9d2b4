"""The environment of the compilers, which nothing but this benchmark uses."""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[3]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = Path(__file__).with_name(".venv")
_STAMP = ENVIRONMENT / "made_from.txt"


def make() -> None:
    """Make the environment from the pinned requirements and those of `train`, unless it is there."""
    if is_made():
        return
    print(f"installing {REQUIREMENTS.relative_to(ROOT)} into {ENVIRONMENT.relative_to(ROOT)}", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    pip = [_python(), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS), "-e", f"{ROOT}[train]"]
    subprocess.run(pip, check=True)
    _STAMP.write_text(_description())


def is_made() -> bool:
    """Return whether the environment is there, made from the requirements as they are now."""
    return _STAMP.exists() and _STAMP.read_text() == _description()


def run(module: str, *arguments: str, variables: dict[str, str]) -> subprocess.Popen[str]:
    """Start a module of the repository in the environment; its output can be read line by line."""
    command = [_python(), "-m", module, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)


def packages() -> Path:
    """Return the folder of the installed packages."""
    return next(ENVIRONMENT.glob("lib/python*/site-packages"))


def _python() -> str:
    return str(ENVIRONMENT / "bin" / "python")


def _description() -> str:
    return "\n".join([sys.version, REQUIREMENTS.read_text(), (ROOT / "pyproject.toml").read_text()])
