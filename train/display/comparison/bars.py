"""Bars of the mean data-set IoU of the rows of a comparison."""

from collections.abc import Sequence
from typing import NamedTuple

from train.comparison.definition import level_text
from train.comparison.records import MODEL, OBJECTIVE, ComparisonRecord, Row
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
from train.display.pages.charts import Bar, BarChart, draw_bars
from train.display.pages.colors import NEUTRAL, series_colors


class BarGroup(NamedTuple):
    """Charts that stand side by side: one for each network, or for each level of another axis."""

    heading: str
    charts: Sequence[BarChart]


class BarFigures(NamedTuple):
    """All charts of bars of a comparison."""

    axis: str
    """Axis whose levels have a bar each."""
    colors: dict[str, str]
    """By the name of a bar."""
    named: bool
    """Whether the charts show the names of the bars; else a legend must."""
    width: float
    """Of a chart in inches."""
    groups: Sequence[BarGroup]


def bar_figures(record: ComparisonRecord) -> BarFigures | None:
    """Draw the rows as bars, one for each objective, grouped by network.

    Where one of these axes has a single level, the next varied axis takes its place. None with fewer than two
    rows, and with two axes of numbers, which have heat maps.
    """
    axes = varied_axes(record)
    if len(record.rows) < 2 or len(numeric_axes(record)) > 1:
        return None
    bar_axis = OBJECTIVE if OBJECTIVE in axes else next(iter(axes))
    others = [axis for axis in axes if axis != bar_axis]
    group_axis = MODEL if MODEL in others else next(iter(others), None)
    colors = _colors(axes[bar_axis], record.reference.get(bar_axis))
    named = group_axis is None
    width = 0.7 + 0.4 * len(colors) if named else 0.6 + 0.17 * len(colors)
    titles = [level_text(group_axis, level) for level in axes[group_axis]] if group_axis else [""]
    top = 1.1 * max(map(_upper_end, record.rows))

    def group(rule: str, panel: Panel) -> BarGroup:
        heading = rule_heading(rule, panel)
        charts = [
            draw_bars(
                title,
                [
                    _bar(name, color, row, rule)
                    for (name, color), row in zip(colors.items(), rows, strict=True)
                ],
                salt=f"{heading}, {title}",
                width=width,
                top=top or 1.0,
                named=named,
            )
            for title, rows in zip(titles, panel.rows, strict=True)
        ]
        return BarGroup(heading, charts)

    layout = panels(record, bar_axis, group_axis)
    groups = [group(rule, panel) for panel in layout for rule in (MOST_PROBABLE, DECIDED)]
    return BarFigures(bar_axis, colors, named, width, groups)


def _bar(name: str, color: str, row: Row | None, rule: str) -> Bar:
    if row is None:
        return Bar(name, None, None, color)
    iou = figures(row)[rule].iou
    return Bar(name, iou.mean, iou.deviation, color)


def _upper_end(row: Row) -> float:
    return max((rule.iou.mean or 0.0) + (rule.iou.deviation or 0.0) for rule in figures(row).values())


def _colors(names: Sequence[str], reference: str | None) -> dict[str, str]:
    """Return the colors of bars; that of the reference is gray."""
    colored = [name for name in names if name != reference]
    colors = dict(zip(colored, series_colors(len(colored)), strict=True))
    return {name: colors.get(name, NEUTRAL) for name in names}
