"""What an import must not bring along, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("train.config", {"tensorflow_datasets", "PIL", "grain", "orbax", "tyro"}),
        ("train.training.step", {"tensorflow_datasets", "PIL", "grain", "orbax", "tyro"}),
        ("train.__main__", {"tensorflow", "torch", "aiohttp"}),
    ],
)
def test_an_import_stays_light(module, unwanted):
    program = f"import sys, {module}; print(*({unwanted} & sys.modules.keys()))"
    loaded = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).split()
    assert loaded == []
