"""The figures that a test holds: they are exact, because all that decides them is pinned."""

import json
from pathlib import Path

from tests.benchmarks.compiled.figures import compute
from tests.benchmarks.compiled.programs import Selection
from tests.benchmarks.compiled.targets import Name

FILE = Path(__file__).with_name("exact.json")
COMMAND = "python -m tests.benchmarks.compiled --exact"
CHIPS: tuple[Name, ...] = ("tpu", "gpu")
_SELECTIONS = (
    Selection(("losses", "masks"), classes=(5,), dtype=("float32",), alone=True),
    # The training step compiles for five minutes.
    Selection(("steps",), name=("UNet, evaluation step",), dtype=("float32",), alone=True),
)

Exact = dict[str, dict[str, int]]
"""Bytes moved and temporary bytes, by the name of the program."""


def exact_figures(target: Name) -> Exact:
    """Compile every loss and mask, and the evaluation step of the U-Net, and return their exact figures."""
    return {
        figure.name: {"bytes": figure.bytes, "temporary": figure.temporary}
        for figure in compute(target, _SELECTIONS)
    }


def write() -> None:
    """Compile for both chips and write the figures that the test holds."""
    figures = {target: exact_figures(target) for target in CHIPS}
    FILE.write_text(json.dumps(figures, indent=2) + "\n")


def read(target: Name) -> Exact:
    """Return the checked-in figures of a target."""
    return json.loads(FILE.read_text())[target]
