"""HTML of pictures, charts and tables, in the colors and the font of the page that includes them."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from train.display.pages.charts import INK, Chart, Line
from train.display.pages.frames import SIDE, data_uri
from train.display.pictures import enlarge


class Panel(NamedTuple):
    """A picture and what it shows."""

    caption: str
    pixels: np.ndarray
    """uint8 [h, w, 1, 3 or 4]."""


class Scale(NamedTuple):
    """The meaning of the colors of panels."""

    name: str
    colors: np.ndarray
    """From left to right, uint8 [n, 3]."""
    ticks: Sequence[str]
    """At equal distances from the left end to the right."""


def panels(pictures: Sequence[Panel], scales: Sequence[Scale] = ()) -> str:
    """Return pictures side by side, and the scales of their colors below."""
    figures = "".join(
        f'<figure><img src="{data_uri(enlarge(p.pixels, SIDE), 2 * SIDE)}" alt="{html.escape(p.caption)}">'
        f"<figcaption>{html.escape(p.caption)}</figcaption></figure>"
        for p in pictures
    )
    return f'<div class="panels">{figures}</div>{"".join(map(scale, scales))}\n'


def charts(drawn: Sequence[Chart]) -> str:
    """Return charts side by side, each with its title and legend."""
    return f'<div class="charts">{"".join(map(_chart, drawn))}</div>\n'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column names the rows."""
    lines = [_cells(head, "th"), *(_cells(row, "td") for row in rows)]
    return (
        '<div class="pst-scrollable-table-container"><table class="table figures">'
        f"<thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table></div>\n"
    )


def scale(shown: Scale) -> str:
    """Return the colors of a scale over its ticks."""
    colors = ", ".join("rgb({}, {}, {})".format(*color) for color in shown.colors.tolist())
    ticks = "".join(f"<span>{html.escape(tick)}</span>" for tick in shown.ticks)
    return (
        f'<div class="scale"><p>{html.escape(shown.name)}</p>'
        f'<div style="background:linear-gradient(to right, {colors})"></div><div>{ticks}</div></div>'
    )


def _cells(texts: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"


def _chart(chart: Chart) -> str:
    lines = "".join(f"<li>{_stroke(line)}{html.escape(line.name)}</li>" for line in chart.lines)
    return (
        f"<figure><figcaption>{html.escape(chart.title)}</figcaption><ul>{lines}</ul>"
        f'<div role="img" aria-label="{html.escape(chart.title)}">{chart.drawing}</div></figure>'
    )


def _stroke(line: Line) -> str:
    color = line.color.replace(INK, "currentColor")
    return (
        f'<svg viewBox="0 0 22 8"><path d="M0 4h22" stroke="{color}" stroke-dasharray="{line.dash}"/></svg>'
    )
