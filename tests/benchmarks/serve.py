"""Time and memory of the figures on the page of `python -m train serve`, as rows of a Markdown table.

    python -m tests.benchmarks.serve [--images 200] [--side 512] [--defects 3]

Probabilities are made up. "usual": a few blots whose probability falls towards their border, and noise below
every threshold between them. "dense": smooth noise, of which a third is above the thresholds, in thousands of
components an image, and a label of the same kind; worse than any network.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tyro
from scipy import ndimage

from tests.benchmarks.memory import largest_resident
from train.measures.decision import decision_counts, decision_figures
from train.measures.records import DecisionRule
from train.serving.measured import LabeledImage
from train.serving.parts import measure_all

_BLOTS = 4
"""Blots of each class in an image."""


@dataclass(frozen=True)
class Benchmark:
    """Measure answers to changes of a rule."""

    images: int = 200
    side: int = 512
    """Height and width of an image."""
    defects: int = 3
    """Number of defect classes."""


def main(benchmark: Benchmark) -> None:
    defects = [f"defect {k}" for k in range(1, benchmark.defects + 1)]

    def rule(shift: float = 0.0, area: int = 8, first: float = 0.0) -> DecisionRule:
        thresholds = dict.fromkeys(defects, 0.55 + shift)
        return DecisionRule(thresholds | {defects[0]: 0.55 + shift + first}, dict.fromkeys(defects, area))

    for name, make in (("usual", usual), ("dense", dense)):
        rng = np.random.default_rng(0)
        images = [LabeledImage(*make(rng, benchmark)) for _ in range(benchmark.images)]
        row = []
        measure_all(images, rule(), defects)
        for changed in (rule(0.01), rule(0.01, first=0.01), rule(0.01, area=16, first=0.01)):
            row.append(seconds(images, changed, defects))
        memory = largest_resident() / 2**20
        begin = time.process_time()
        decision_figures((decision_counts(x.probabilities, x.label, rule()) for x in images), defects)
        plain = time.process_time() - begin
        print(f"| {name} | {' | '.join(row)} | ({plain:.1f} s) | {memory:.0f} MiB |")


def usual(rng: np.random.Generator, benchmark: Benchmark) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [h, w, defects] and a label [h, w] with some blots."""
    side = benchmark.side
    probabilities = 0.05 * rng.random((side, side, benchmark.defects), np.float32)
    label = np.zeros((side, side), np.uint8)
    y, x = np.ogrid[:side, :side]
    for k in range(benchmark.defects):
        for _ in range(_BLOTS):
            row, column = rng.integers(0, side, 2)
            radius = side * rng.uniform(0.01, 0.05)
            distance = np.hypot(y - row, x - column) / radius
            probabilities[..., k] = np.maximum(probabilities[..., k], np.exp(-(distance**2)))
            label[distance < 0.8] = k + 1
    return probabilities, label


def dense(rng: np.random.Generator, benchmark: Benchmark) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [h, w, defects] and a label [h, w] of smooth noise."""

    def noise() -> np.ndarray:
        smooth = ndimage.gaussian_filter(rng.random((benchmark.side, benchmark.side), np.float32), 1.0)
        return (smooth - smooth.min()) / np.ptp(smooth)

    planes = [noise() for _ in range(benchmark.defects)]
    label = np.where(noise() > 0.6, rng.integers(1, benchmark.defects + 1), 0).astype(np.uint8)
    return np.stack(planes, -1), label


def seconds(images: Sequence[LabeledImage], rule: DecisionRule, defects: Sequence[str]) -> str:
    """Return the time that the figures of a rule take, and the processor time of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    measure_all(images, rule, defects)
    return f"{time.perf_counter() - wall:.2f} s ({time.process_time() - cpu:.2f} s)"


if __name__ == "__main__":
    main(tyro.cli(Benchmark))
