"""What programs move, keep and take to compile on a TPU v5e and an H100, neither of which is needed.

    python -m tests.benchmarks.compiled [--target tpu gpu] [--what losses masks] [--classes 5] [--out FILE]
    python -m tests.benchmarks.compiled --exact

JAX compiles ahead of time against the description of a chip. Needs `pip install '.[test]'`; the compilers and
all else that decides the figures are installed into tests/benchmarks/compiled/.venv, in the versions of
requirements.txt. Nothing is timed but the compilers: other times follow from bytes and operations. `--exact`
writes the figures that tests/benchmarks/test_compiled.py holds.

A program that the same versions have compiled before is not compiled again; to time the compilers anew,
delete tests/benchmarks/compiled/.figures.
"""

import os
import platform
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from tests.benchmarks.compiled import environment, exact
from tests.benchmarks.compiled.figures import Figure, compute
from tests.benchmarks.compiled.programs import SHAPE, STEP_SIZE, Selection
from tests.benchmarks.compiled.tables import markdown, mebibytes
from tests.benchmarks.compiled.targets import TARGETS, Name
from train.display.formatting import dimensions


@dataclass(frozen=True)
class Options:
    """Compile for chips that need not be there."""

    selection: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    target: tuple[Name, ...] = tuple(TARGETS)
    """Chips to compile for."""
    install: bool = False
    """Make the environment of the compilers, and no more."""
    exact: bool = False
    """Write the exact figures of one row of each loss and mask, and no table."""
    out: Path | None = None
    """File for the tables, which are printed as well."""


def main(options: Options) -> None:
    environment.make()
    if options.install:
        return
    if options.exact:
        exact.write()
        return
    figures = []
    for target in options.target:
        for figure in compute(target, [options.selection]):
            figures.append(figure)
            print(progress(figure), flush=True)
    lines = [*preamble(options.selection.images), *markdown(figures)]
    print(*lines, sep="\n")
    if options.out:
        options.out.write_text("\n".join([*lines, ""]))


def progress(figure: Figure) -> str:
    """Return a line about a program that has been compiled."""
    columns = (
        f"{figure.target} {figure.name:36} {figure.classes or '':3} {figure.dtype:8} {figure.side:7}",
        f"{mebibytes(figure.bytes):>7} MiB, {figure.kernels:4} kernels",
        f"temporary {mebibytes(figure.temporary):>6} MiB, compiled in {figure.seconds:6.1f} s",
    )
    return "  ".join([*columns, figure.refusal])


def preamble(images: int) -> Iterator[str]:
    """Yield what the tables say about themselves."""
    pins = [line for line in environment.REQUIREMENTS.read_text().splitlines() if "==" in line]
    batch, *size = SHAPE
    yield f"    python -m tests.benchmarks.compiled {shlex.join(sys.argv[1:])}"
    yield ""
    yield f"{', '.join(pins)}; {platform.machine()}, {os.cpu_count()} cores."
    yield ""
    yield (
        f"Losses: value and gradient of the mean, {batch} images of {dimensions(size)}. Those of one label "
        "per pixel take given weights. "
        f"Augmentation and steps: {images} images of {dimensions(STEP_SIZE)} a chip."
    )
    yield ""
    yield (
        "Plain is the textbook formulation in `compiled/plain.py`, optax its nearest loss. The bytes of a "
        "loop's body count as often as it runs; a sort counts, in the text, as one pass over its operands. "
        "The column `loops` says where there are any. `ms` is the time of the bytes at full bandwidth, or "
        "that of the products at the peak, whichever is longer."
    )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
