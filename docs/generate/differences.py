"""By how much the objectives of a comparison differ from cross-entropy + Dice, a picture for each data set.

The cells are those that `compare` kept in tests/benchmarks/evidence.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.comparison.figures import BySeed, Rule, difference
from train.run.results import read_image_counts

_EVIDENCE = Path(__file__).parents[2] / "tests/benchmarks/evidence"
_REFERENCE = "cross_entropy_dice"


class _Panel(NamedTuple):
    """Differences within one folder of cells."""

    title: str
    folder: str
    rows: tuple[str, ...]
    """Names of cells without the seed, from the top."""
    reference: str = _REFERENCE


_PANELS = {
    "topomortar_differences": (
        _Panel(
            "validation labels as bad as the training labels",
            "topomortar_noisy",
            (
                "class_weights",
                "paper",
                "skeleton_recall",
                "slowly_closing_relaxing_no_window",
                "generalized_cross_entropy",
                "cross_entropy",
                "confusion",
                "smoothed",
            ),
        ),
        _Panel(
            "twenty accurate validation labels",
            "topomortar_noisy_accurate_validation",
            ("class_weights", "paper"),
        ),
    ),
}
"""Panels of each picture, side by side."""


class _Style(NamedTuple):
    """How the figures under a decision rule are drawn."""

    counts: Rule
    marker: str
    color: str


_RULES = {
    "most probable class": _Style(lambda counts: counts.most_probable, "o", "#b3431e"),
    "decision thresholds and minimum areas": _Style(lambda counts: counts.decided, "D", "#1f5fa8"),
}


def write(folder: Path) -> None:
    """Write a picture for each data set into a folder."""
    for name, panels in _PANELS.items():
        rows = [len(panel.rows) for panel in panels]
        canvas = Figure(figsize=(9, 0.8 * len(rows) + 0.3 * sum(rows)), layout="constrained", dpi=120)
        column = canvas.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=rows)[:, 0]
        for axes, panel in zip(column, panels, strict=True):
            _draw(axes, panel)
        column[0].legend(fontsize=8)
        column[-1].set_xlabel(f"IoU minus that of {_REFERENCE}, and its 95 % interval", fontsize=9)
        canvas.savefig(folder / f"{name}.png")


def _draw(axes: Axes, panel: _Panel) -> None:
    reference = _by_seed(panel.folder, panel.reference)
    rows = [_by_seed(panel.folder, row) for row in panel.rows]
    for (rule, style), offset in zip(_RULES.items(), (-0.15, 0.15), strict=True):
        found = [difference(row, reference, style.counts) for row in rows]
        ends = [(each.mean, *each.interval) for each in found if each.mean is not None and each.interval]
        middle, low, high = np.transpose(ends)
        axes.errorbar(
            middle, np.arange(len(rows)) + offset, xerr=[middle - low, high - middle],
            fmt=style.marker, color=style.color, markersize=5, capsize=3, label=rule,
        )  # fmt: skip
    axes.axvline(0, color="gray", linewidth=1)
    axes.set_title(panel.title, fontsize=10, loc="left")
    seeds = ("one seed" if len(row) == 1 else f"{len(row)} seeds" for row in rows)
    labels = [f"{name}, {count}" for name, count in zip(panel.rows, seeds, strict=True)]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _by_seed(folder: str, name: str) -> BySeed:
    """Return the counts of the cells of a row, by seed."""
    cells = sorted((_EVIDENCE / folder).glob(f"{name}-seed_?"))
    return {cell.name.rpartition("_")[2]: read_image_counts(cell) for cell in cells}
