"""The rows of a comparison laid out along its axes."""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

from train.comparison.definition import level_text
from train.comparison.records import FOLD, OBJECTIVE, SEED, ComparisonRecord, Row, RowFigures

MOST_PROBABLE, DECIDED = "most probable classes", "thresholds and minimum areas"
"""The two decision rules."""


class Panel(NamedTuple):
    """The rows of one combination of levels of all other axes, along two axes."""

    heading: str
    """The levels of the other axes; empty where they have one level each."""
    rows: list[list[Row | None]]
    """By level of the second axis, then of the first; None where no cell is done."""


def figures(row: Row) -> dict[str, RowFigures]:
    """Return the figures of a row by decision rule."""
    return {MOST_PROBABLE: row.most_probable, DECIDED: row.decided}


def row_axes(record: ComparisonRecord) -> dict[str, list[str]]:
    """Return the levels of the axes that tell rows apart, those with one level included."""
    return {axis: levels for axis, levels in record.axes.items() if axis not in (FOLD, SEED)}


def varied_axes(record: ComparisonRecord) -> dict[str, list[str]]:
    """Return the levels of the axes that tell rows apart and have several levels."""
    return {axis: levels for axis, levels in row_axes(record).items() if len(levels) > 1}


def numeric_axes(record: ComparisonRecord) -> list[str]:
    """Return the varied axes whose levels are all numbers."""
    return [axis for axis, levels in varied_axes(record).items() if all(map(_is_number, levels))]


def panels(record: ComparisonRecord, first: str | None, second: str | None) -> list[Panel]:
    """Lay out the rows along two axes, in one panel for each combination of the other axes' levels.

    Args:
        record: of the comparison.
        first: an axis; None gives a single column.
        second: another axis; None gives a single line.
    """
    axes = varied_axes(record)
    by_levels = {tuple(row.levels[axis] for axis in axes): row for row in record.rows}
    others = {axis: levels for axis, levels in axes.items() if axis not in (first, second)}

    def find(*chosen: Mapping[str, str]) -> Row | None:
        levels = {axis: level for part in chosen for axis, level in part.items()}
        return by_levels.get(tuple(levels[axis] for axis in axes))

    return [
        Panel(
            ", ".join(level_text(axis, level) for axis, level in zip(others, combination, strict=True)),
            [
                [find(x, y, dict(zip(others, combination, strict=True))) for x in _choices(axes, first)]
                for y in _choices(axes, second)
            ],
        )
        for combination in itertools.product(*others.values())
    ]


def rule_heading(rule: str, panel: Panel) -> str:
    """Return the heading of a panel under a decision rule."""
    return f"{rule.capitalize()}: {panel.heading}" if panel.heading else rule.capitalize()


def reference_row(record: ComparisonRecord, row: Row) -> Row | None:
    """Return the row that the difference of a row refers to; None where there is none or it is not done."""
    if not record.reference:
        return None
    levels = row.levels | record.reference
    return next((other for other in record.rows if other.levels == levels), None)


def reference_text(record: ComparisonRecord) -> str:
    """Return the level that differences refer to, with the name of its axis where that is needed."""
    return ", ".join(itertools.starmap(level_text, record.reference.items()))


def row_groups(record: ComparisonRecord) -> list[list[Row]]:
    """Return the rows in groups of neighbors that differ in their objective alone; one group of all if there
    is one objective."""
    if OBJECTIVE not in varied_axes(record):
        return [record.rows]

    def other_levels(row: Row) -> dict[str, str]:
        return {axis: level for axis, level in row.levels.items() if axis != OBJECTIVE}

    return [list(group) for _, group in itertools.groupby(record.rows, other_levels)]


def _choices(axes: Mapping[str, list[str]], axis: str | None) -> list[dict[str, str]]:
    return [{}] if axis is None else [{axis: level} for level in axes[axis]]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
