"""Charts of lines and of bars as SVG in the colors and the font of the page."""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK = "#010203"
"""Placeholder in an SVG for the text color of the page, which differs between its light and dark modes."""
DASHES = ("6 2", "2 2", "8 2 2 2", "1 2", "4 4")
"""Dash patterns that tell lines of one color apart."""
_HEIGHT = 2.4
"""Inches."""


class Line(NamedTuple):
    """One line of a chart and its entry in the legend."""

    name: str
    values: Sequence[float | None]
    """By position on the horizontal axis; None leaves a gap."""
    color: str = INK
    """As "#rrggbb"."""
    dash: str = ""
    """Lengths of strokes and gaps, as SVG writes them; empty for a solid line."""
    points: bool = False
    """Whether a point marks each value."""


class Chart(NamedTuple):
    """A drawing of lines with its title and legend."""

    title: str
    lines: Sequence[Line]
    drawing: str
    """An SVG element."""


class Bar(NamedTuple):
    """One bar of a chart."""

    name: str
    value: float | None
    """None leaves a gap."""
    deviation: float | None
    """Half the length of the error bar; None draws none."""
    color: str
    """As "#rrggbb"."""


class BarChart(NamedTuple):
    """A drawing of bars with its title."""

    title: str
    bars: Sequence[Bar]
    drawing: str
    """An SVG element."""


def draw_chart(
    title: str, axis: str, positions: Sequence[float], lines: Sequence[Line], *, top: float | None = None
) -> Chart:
    """Draw lines over a horizontal axis that begins at 0.

    Args:
        title: of the chart.
        axis: label of the horizontal axis; on an "epoch" axis ticks are integers.
        positions: of the values of each line on the horizontal axis.
        lines: at least one.
        top: upper end of the vertical axis; None fits it to the values.
    """

    def draw(axes: Axes) -> None:
        for line in lines:
            dashes = (0, tuple(map(float, line.dash.split()))) if line.dash else "solid"
            values = [math.nan if v is None or not math.isfinite(v) else v for v in line.values]
            (curve,) = axes.plot(positions, values, color=line.color, linestyle=dashes, linewidth=1.3)
            if line.points or len(values) == 1:  # a line through one point is invisible
                curve.set(marker="o", markersize=3)
        lowest = min((v for line in lines for v in line.values if v is not None), default=0)
        axes.set_ylim(lowest if -math.inf < lowest < 0 else 0, top)
        axes.set_xlim(0, 1.03 * positions[-1])
        if axis == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel(axis)

    return Chart(title, lines, _drawing(title, 4.4, draw))


def draw_bars(
    title: str, bars: Sequence[Bar], *, salt: str, width: float, top: float, named: bool
) -> BarChart:
    """Draw bars over a vertical axis that begins at 0.

    Args:
        title: of the chart.
        bars: at least one.
        salt: distinguishes the element ids of charts of one title on a page.
        width: of the chart in inches.
        top: upper end of the vertical axis.
        named: whether each bar has its name below and its value above it.
    """

    def draw(axes: Axes) -> None:
        for position, bar in enumerate(bars):
            if bar.value is None:
                continue
            deviation = bar.deviation or 0
            axes.bar(position, bar.value, width=0.8, color=bar.color, edgecolor=INK, linewidth=0.4)
            if deviation:
                axes.errorbar(position, bar.value, deviation, ecolor=INK, elinewidth=0.8, capsize=2)
            if named:
                axes.annotate(
                    f"{bar.value:.3f}",
                    (position, bar.value + deviation),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                )
        axes.set_ylim(0, top)
        axes.set_xlim(-0.7, len(bars) - 0.3)
        names = [bar.name for bar in bars] if named else []
        axes.set_xticks(
            range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor", parse_math=False
        )
        axes.tick_params(axis="x", length=0)

    return BarChart(title, bars, _drawing(salt, width, draw))


def _drawing(salt: str, width: float, draw: Callable[[Axes], None]) -> str:
    """Return what a function draws, as an SVG element of an HTML page."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, in the font of the page
        "svg.hashsalt": salt,  # element ids are the same in each run, and differ between charts
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        **dict.fromkeys(
            ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"), INK
        ),
    }
    file = io.StringIO()
    with matplotlib.rc_context(style):
        canvas = Figure(figsize=(width, _HEIGHT), layout="constrained")
        draw(canvas.add_subplot())
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inline(file.getvalue())


def _inline(svg: str) -> str:
    """Convert an SVG file to an element of an HTML page, without metadata and unused ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg\b.*?(viewBox="[^"]*").*?>', r"<svg \1>", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace(INK, "currentColor")
