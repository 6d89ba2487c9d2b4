"""Heat maps of the mean data-set IoU over two axes of numbers."""

from typing import NamedTuple

from train.comparison.records import ComparisonRecord, Row, Spread
from train.display.comparison.axes import (
    DECIDED,
    MOST_PROBABLE,
    Panel,
    figures,
    numeric_axes,
    panels,
    rule_heading,
    varied_axes,
)


class HeatCell(NamedTuple):
    """One row of the comparison in a heat map."""

    iou: Spread
    fraction: float
    """Position of the mean between the lowest (0) and the highest (1) of all heat maps."""
    best: bool
    """Whether the mean is the highest of its heat map."""


class HeatMap(NamedTuple):
    """The mean data-set IoU over two axes."""

    heading: str
    row_axis: str
    column_axis: str
    columns: list[str]
    """Levels of the column axis."""
    rows: dict[str, list[HeatCell | None]]
    """By level of the row axis; None where there is no figure."""


def heat_maps(record: ComparisonRecord) -> list[HeatMap]:
    """Return one heat map for each decision rule and combination of the levels of the other axes.

    The first two axes whose levels are all numbers are the axes; none with fewer than two such axes.
    """
    numeric = numeric_axes(record)
    spreads = [rule.iou for row in record.rows for rule in figures(row).values()]
    means = [value.mean for value in spreads if value.mean is not None]
    if len(numeric) < 2 or not means:
        return []
    row_axis, column_axis = numeric[:2]
    axes = varied_axes(record)
    lowest, highest = min(means), max(means)

    def cell(row: Row | None, rule: str, best: float | None) -> HeatCell | None:
        if row is None or (iou := figures(row)[rule].iou).mean is None:
            return None
        fraction = (iou.mean - lowest) / (highest - lowest) if highest > lowest else 0.0
        return HeatCell(iou, fraction, iou.mean == best)

    def heat_map(panel: Panel, rule: str) -> HeatMap:
        row_means = [figures(row)[rule].iou.mean for line in panel.rows for row in line if row is not None]
        best = max((mean for mean in row_means if mean is not None), default=None)
        lines = [[cell(row, rule, best) for row in line] for line in panel.rows]
        return HeatMap(
            rule_heading(rule, panel),
            row_axis,
            column_axis,
            axes[column_axis],
            dict(zip(axes[row_axis], lines, strict=True)),
        )

    layout = panels(record, column_axis, row_axis)
    return [heat_map(panel, rule) for panel in layout for rule in (MOST_PROBABLE, DECIDED)]
