"""Time and peak memory of prediction on one large image, as a row of a Markdown table.

    python -m tests.benchmarks.predict [--side 4096] [--width 16] [--classes 4] [--tile 1024 1024]

`python -m train predict` runs on a gray image of noise in a new process. Memory is the peak resident set of
the process, imports and compilation included. The network is an untrained U-Net, whose predictions on noise
have more connected components than those on any photograph.
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
    """Measure one prediction."""

    side: int = 4096
    """Height and width of the image."""
    width: int = 16
    """Channels of the first stage of the network."""
    classes: int = 4
    """Number of classes, background included."""
    tile: tuple[int, int] = (1024, 1024)
    """Height and width of a tile."""
    size: tuple[int, int] | None = None
    """Height and width that the image is resized to before the network; None keeps its own."""


class Measured(NamedTuple):
    """Cost of a command."""

    seconds: float
    mebibytes: float
    """Peak resident set."""


def main(benchmark: Benchmark) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = measure(benchmark, Path(folder))
    tile, size = ("x".join(map(str, sides or ("not resized",))) for sides in (benchmark.tile, benchmark.size))
    print(f"| {benchmark.side} | {benchmark.width} | {benchmark.classes} | {tile} | {size} ", end="")
    print(f"| {result.seconds:.0f} s | {result.mebibytes:.0f} MiB |")


def measure(benchmark: Benchmark, folder: Path) -> Measured:
    """Predict one image in a new process, and return the cost."""
    run, image = folder / "run", folder / "image.png"
    classes = ("background", *(f"defect {k}" for k in range(1, benchmark.classes)))
    model = UNet(width=benchmark.width)
    config = replace(tiny, model=model, input=Input(size=benchmark.size))
    make_run(run, Experiment(config, gray_facts(classes)))
    pixels = np.random.default_rng(0).integers(0, 256, (benchmark.side, benchmark.side), np.uint8)
    Image.fromarray(pixels).save(image)
    command = ["predict", run, image, "--out", folder / "out", "--components", "--tile", *benchmark.tile]
    begin = time.monotonic()
    # Without the flags of the tests: they split the CPU into eight devices, which take eight tiles at a time.
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
