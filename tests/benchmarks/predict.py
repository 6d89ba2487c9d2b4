"""Time and memory of a prediction in one large image, as a line of a table in Markdown.

    python -m tests.benchmarks.predict [--side 4096] [--width 16] [--classes 4] [--tile 1024 1024]

A gray image of noise goes through `python -m train predict` in a process of its own, whose largest resident
set counts, imports and compilation included. The network is a U-Net with parameters of the seed, whose
components are as many as noise has: more than any photograph's.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from PIL import Image

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from tests.untrained import gray_facts, make_run
from train.config import Input
from train.training.experiment import Experiment

ROOT = Path(__file__).parents[2]

PREDICT = """
import sys
from tests.benchmarks.memory import largest_resident
from train.__main__ import main
status = main(sys.argv[1:])
print(largest_resident())
sys.exit(status)
"""


@dataclass(frozen=True)
class Benchmark:
    """Measures one prediction."""

    side: int = 4096
    """Height and width of the image."""
    width: int = 16
    """Channels of the network's first stage."""
    classes: int = 4
    """Of the network, background included."""
    tile: tuple[int, int] = (1024, 1024)
    """Height and width of a tile."""
    size: tuple[int, int] | None = None
    """Height and width the network sees the image at; None for its own."""


class Measured(NamedTuple):
    """What a command took."""

    seconds: float
    mebibytes: float
    """Largest resident set."""


def main(benchmark: Benchmark) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = measure(benchmark, Path(folder))
    tile, size = ("x".join(map(str, sides or ("as it is",))) for sides in (benchmark.tile, benchmark.size))
    print(f"| {benchmark.side} | {benchmark.width} | {benchmark.classes} | {tile} | {size} ", end="")
    print(f"| {result.seconds:.0f} s | {result.mebibytes:.0f} MiB |")


def measure(benchmark: Benchmark, folder: Path) -> Measured:
    """Predicts in one image, in a process of its own."""
    run, image = folder / "run", folder / "image.png"
    classes = ("background", *(f"defect {k}" for k in range(1, benchmark.classes)))
    model = UNet(width=benchmark.width)
    config = replace(tiny, model=model, input=Input(size=benchmark.size))
    make_run(run, Experiment(config, gray_facts(classes)))
    pixels = np.random.default_rng(0).integers(0, 256, (benchmark.side, benchmark.side), np.uint8)
    Image.fromarray(pixels).save(image)
    command = ["predict", run, image, "--out", folder / "out", "--components", "--tile", *benchmark.tile]
    begin = time.monotonic()
    # Without the flags of the tests, which make eight devices of a CPU, and so eight tiles at a time.
    process = subprocess.run(
        [sys.executable, "-c", PREDICT, *map(str, command)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": ""},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    *_, resident = process.stdout.splitlines()
    return Measured(time.monotonic() - begin, int(resident) / 2**20)


if __name__ == "__main__":
    main(tyro.cli(Benchmark))
