"""Tables and pictures of the results page, from the cells that `compare` kept in tests/benchmarks/evidence.

A table holds the finished cells of a comparison, whatever the number of their seeds.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from configs import kolektor_sdd_small, magnetic_tile_small, neu_seg_small, topomortar_small
from configs.objectives import OBJECTIVES
from train.comparison.collect import collect, read_cell
from train.comparison.definition import Comparison, cells
from train.comparison.records import ComparisonRecord, Difference, Row, RowFigures
from train.config import Config
from train.display.comparison.axes import DECIDED, MOST_PROBABLE, figures, reference_text
from train.display.comparison.summary import spread
from train.display.comparison.tables import difference_text
from train.display.formatting import drop_zeros, figure

_EVIDENCE = Path(__file__).parents[2] / "tests/benchmarks/evidence"
_SEEDS = (0, 1, 2)
_RULES = {MOST_PROBABLE: ("o", "#b3431e"), DECIDED: ("D", "#1f5fa8")}
"""Marker and color of the figures under a decision rule."""


class _Table(NamedTuple):
    """Cells of one folder, compared with each other."""

    title: str
    folder: str
    comparison: Comparison


def _of_topomortar(titles: dict[str, str]) -> dict[str, _Table]:
    """Return a table for each comparison of `topomortar_small`, by name and title."""
    made = {name: dataclasses.replace(topomortar_small.comparisons[name], seeds=_SEEDS) for name in titles}
    return {name: _Table(title, f"topomortar_{name}", made[name]) for name, title in titles.items()}


def _comparison(config: Config, objectives: Sequence[str], *inject: float | None) -> Comparison:
    """Return the comparison of objectives, and of fractions of images with a pasted defect, if any."""
    vary = {"sampling.inject": inject} if inject else {}
    return Comparison(config, {name: OBJECTIVES[name] for name in objectives}, vary=vary, seeds=_SEEDS)


def _of_rare_defects(folder: str, config: Config) -> dict[str, _Table]:
    """Return the table of objectives, and for two of them one with and without pasted defects."""
    names = ("cross_entropy_dice", "slowly_closing_relaxing_no_window")
    others = ("paper", "class_weights", "weighted_cross_entropy_pixels")
    pasted = "defects pasted into half of the images"
    return {
        "objectives": _Table("objectives", folder, _comparison(config, (*names, *others), None)),
        **{
            f"injected_{name}": _Table(f"{name}, {pasted}", folder, _comparison(config, [name], None, 0.5))
            for name in names
        },
    }


_NEU_SEG = (
    "cross_entropy_dice", "closing_relaxing_no_window", "slowly_closing_relaxing_no_window",
    "paper", "class_weights", "dice", "smoothed", "skeleton_recall",
)  # fmt: skip

_SETS = {
    "topomortar": _of_topomortar(
        {
            "noisy": "validation labels as bad as the training labels",
            "noisy_accurate_validation": "twenty accurate validation labels",
        }
    ),
    "topomortar_other": _of_topomortar({"pseudo": "labels that are too wide", "accurate": "accurate labels"}),
    "kolektor_sdd": _of_rare_defects("kolektor_sdd", kolektor_sdd_small.config),
    "magnetic_tile": _of_rare_defects("magnetic_tile", magnetic_tile_small.config),
    "neu_seg": {"objectives": _Table("objectives", "neu_seg", _comparison(neu_seg_small.config, _NEU_SEG))},
}
"""Tables by data set and name; a data set has one picture."""


def write(folder: Path) -> None:
    """Write SET_NAME.md for each table of several rows and SET_differences.png for each data set."""
    for name, tables in _SETS.items():
        made = {part: record(*table) for part, table in tables.items()}
        several = {part: each for part, each in made.items() if len(each.rows) > 1}
        for part, each in several.items():
            (folder / f"{name}_{part}.md").write_text("\n".join(_lines(each)) + "\n", encoding="utf-8")
        _draw(list(several.values())).savefig(folder / f"{name}_differences.png")


def record(title: str, folder: str, comparison: Comparison) -> ComparisonRecord:
    """Return what the kept cells of a folder show of a comparison."""
    found = [read_cell(cell, _EVIDENCE / folder / cell.name) for cell in cells(comparison)]
    return collect(comparison, title, found)


def _lines(record: ComparisonRecord) -> Iterator[str]:
    """Yield the lines of a table, rows with the largest IoU first, and of a table of several classes."""
    columns = (
        "(seeds)", "IoU", "difference [95 %]", "precision<br>recall",
        "IoU, under thresholds", "difference [95 %]",
    )  # fmt: skip
    yield _row(columns)
    yield "|---" * len(columns) + "|"
    for row in _sorted_rows(record):
        shown, decided = row.most_probable, row.decided
        yield _row([
            _title(row),
            _iou(shown), _difference(shown), f"{figure(shown.precision.mean)}<br>{figure(shown.recall.mean)}",
            _iou(decided), _difference(decided),
        ])  # fmt: skip
    defects = record.classes[1:]
    if len(defects) > 1:
        yield "\nIoU of each class, by the most probable class and under thresholds:\n"
        yield _row(["(seeds)", *defects])
        yield "|---" * (1 + len(defects)) + "|"
        for row in _sorted_rows(record):
            rules = row.most_probable, row.decided
            ious = ("; ".join(figure(rule.classes[name].mean) for rule in rules) for name in defects)
            yield _row([_title(row), *ious])


def _row(cells: Iterable[str]) -> str:
    return f"| {drop_zeros(' | '.join(cells))} |"


def _title(row: Row) -> str:
    """Return the name of a row, which may be broken at underscores, and the number of its seeds."""
    return f"{row.name.replace('_', '_<wbr>')} ({len(row.seeds)})"


def _sorted_rows(record: ComparisonRecord) -> list[Row]:
    return sorted(record.rows, key=lambda row: row.most_probable.iou.mean or 0, reverse=True)


def _iou(rule: RowFigures) -> str:
    return spread(rule.iou).replace(" ± ", "<br>±&nbsp;")


def _difference(rule: RowFigures) -> str:
    return difference_text(rule, "<br>").replace(", ", ",&nbsp;")


def _draw(records: Sequence[ComparisonRecord]) -> Figure:
    """Draw the differences of rows to their references, and their intervals, in a panel for each table."""
    heights = [len(record.rows) - 1 for record in records]
    canvas = Figure(figsize=(9, 0.4 + 0.8 * len(heights) + 0.3 * sum(heights)), layout="constrained", dpi=120)
    column = canvas.subplots(len(records), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, record in zip(column, records, strict=True):
        _draw_panel(axes, record)
    handles, rules = column[0].get_legend_handles_labels()
    canvas.legend(handles, rules, loc="outside upper right", ncols=len(rules), fontsize=8)
    column[-1].set_xlabel("difference of the IoU, and its 95 % interval", fontsize=9)
    return canvas


def _draw_panel(axes: Axes, record: ComparisonRecord) -> None:
    rows = [row for row in _sorted_rows(record) if row.most_probable.difference is not None]
    for (rule, (marker, color)), offset in zip(_RULES.items(), (-0.15, 0.15), strict=True):
        found = [figures(row)[rule].difference for row in rows]
        middle, low, high = np.transpose([_ends(each) for each in found if each is not None])
        axes.errorbar(
            middle, np.arange(len(rows)) + offset, xerr=[middle - low, high - middle],
            fmt=marker, color=color, markersize=5, capsize=3, label=rule,
        )  # fmt: skip
    axes.axvline(0, color="gray", linewidth=1)
    axes.set_title(f"{record.title}: minus {reference_text(record)}", fontsize=10, loc="left")
    axes.set_yticks(range(len(rows)), [f"{row.name} ({len(row.seeds)})" for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _ends(difference: Difference) -> tuple[float, float, float]:
    """Return the difference and the ends of its interval."""
    if difference.mean is None or difference.interval is None:
        raise ValueError("a row has no seed in common with its reference")
    return difference.mean, *difference.interval
