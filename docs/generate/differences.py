"""By how much the objectives of a comparison differ from cross-entropy + Dice, a picture for each data set.

The cells are those that `compare` kept in tests/benchmarks/evidence.
"""

from pathlib import Path
from typing import NamedTuple

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
_RULES: dict[str, tuple[Rule, str]] = {
    "most probable class": (lambda counts: counts.most_probable, "o"),
    "decision thresholds": (lambda counts: counts.decided, "D"),
}
"""Rule of the decision and its marker."""


def write(folder: Path) -> None:
    """Write a picture for each data set into a folder."""
    for name, panels in _PANELS.items():
        height = 1.2 + 0.34 * max(len(panel.rows) for panel in panels)
        canvas = Figure(figsize=(11, height), layout="constrained", dpi=120)
        for axes, panel in zip(canvas.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel)
        canvas.savefig(folder / f"{name}.png")


def _draw(axes, panel: _Panel) -> None:
    reference = _by_seed(panel.folder, panel.reference)
    rows = {name: _by_seed(panel.folder, name) for name in panel.rows}
    for (rule_name, (rule, marker)), offset, color in zip(
        _RULES.items(), (-0.14, 0.14), ("#b3431e", "#1f5fa8"), strict=True
    ):
        for position, row in enumerate(rows.values()):
            found = difference(row, reference, rule)
            axes.errorbar(
                found.mean, position + offset,
                xerr=[[found.mean - found.interval[0]], [found.interval[1] - found.mean]],
                fmt=marker, color=color, markersize=5, capsize=3, label=None if position else rule_name,
            )  # fmt: skip
    axes.axvline(0, color="gray", linewidth=1)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(f"IoU minus that of {panel.reference}", fontsize=9)
    axes.set_yticks(range(len(rows)), [f"{name} ({len(row)})" for name, row in rows.items()], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.legend(fontsize=8)


def _by_seed(folder: str, name: str) -> BySeed:
    """Return the counts of the cells of a row, by seed."""
    cells = sorted((_EVIDENCE / folder).glob(f"{name}-seed_?"))
    return {cell.name.rpartition("_")[2]: read_image_counts(cell) for cell in cells}
