"""The report's curves over the epochs, as SVG that takes the colours and the font of the page."""

import io
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from train.measures.figures import defect_means

INK = "#010203"
"""Stands in a chart for the colour of the page's text, which is another one in the dark."""
DASHES = ("6 2", "2 2", "8 2 2 2", "1 2", "4 4")


class Line(NamedTuple):
    """One line of a chart and its entry in the legend."""

    name: str
    values: Sequence[float | None]
    """One for each epoch shown; None leaves a gap."""
    color: str = INK
    """As "#rrggbb"."""
    dash: str = ""
    """Lengths of strokes and gaps, as SVG writes them; empty for a whole line."""


class Chart(NamedTuple):
    """A drawing with its title and legend."""

    title: str
    lines: Sequence[Line]
    drawing: str
    """An SVG element."""


def learning_curves(rows: Sequence[Mapping[str, Any]], colors: Sequence[str]) -> list[Chart]:
    """Loss, figures of the validation part and learning rate over the epochs.

    Args:
        rows: one for each epoch; those without a validation are left out of its charts.
        colors: of the defect classes.
    """
    if not rows:
        return []
    validated = [row for row in rows if row.get("validation")]
    metrics: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
        "IoU": lambda figures: figures["iou"]["dataset"],
        "Precision": lambda figures: figures["precision"],
        "Recall": lambda figures: figures["recall"],
    }
    return [
        _chart("Training loss", rows, _loss_lines(rows)),
        *(
            _chart(f"{name} on the validation part", validated, _metric_lines(validated, colors, of), top=1)
            for name, of in metrics.items()
            if validated
        ),
        _chart("Learning rate", rows, [Line("", [row["learning_rate"] for row in rows])]),
    ]


def holder_curves(rows: Sequence[Mapping[str, Any]], colors: Sequence[str]) -> list[Chart]:
    """Who holds the loss of the validation part, and what the masks weigh, over the epochs.

    Args:
        rows: one for each epoch; those without findings are left out.
        colors: of the defect classes.
    """
    rows = [row for row in rows if row.get("findings")]
    if not rows:
        return []
    findings = [row["findings"] for row in rows]
    classes = dict(zip(findings[-1]["classes"], (INK, *colors), strict=True))
    branches = dict(zip(findings[-1]["error"], ("", *DASHES), strict=False))

    def share(division: str, group: str, kind: str) -> list[float | None]:
        return [found[division][group][kind] for found in findings]

    def by_branch(kind: str) -> list[Line]:
        return [Line(name, share("error", name, kind), dash=dash) for name, dash in branches.items()]

    def by_class(kind: str) -> list[Line]:
        lines = [Line(name, share("classes", name, kind), color) for name, color in classes.items()]
        return [*lines, Line("boundary", share("boundary", "boundary", kind), dash=DASHES[0])]

    def mask(term: str) -> list[Line]:
        return [Line(name, [f["mask"][term][name] for f in findings], c) for name, c in classes.items()]

    def histogram(row: Mapping[str, Any], dash: str) -> Line:
        return Line(f"epoch {row['epoch']}", row["findings"]["histogram"]["loss"], dash=dash)

    ends = [rows[0], rows[-1]] if len(rows) > 1 else rows
    over_error = {
        "Share of the loss, over the error": [
            histogram(row, dash) for row, dash in zip(ends, (DASHES[1], ""), strict=False)
        ],
        f"Cumulative shares over the error, epoch {rows[-1]['epoch']}": [
            Line(kind, _cumulative(values), dash=dash)
            for (kind, values), dash in zip(
                findings[-1]["histogram"].items(), (DASHES[1], "", DASHES[0]), strict=True
            )
        ],
    }
    return [
        *(
            Chart(title, lines, _drawing(title, "error", _upper_ends(lines), lines, top=1))
            for title, lines in over_error.items()
        ),
        _chart("Share of the pixels, by error", rows, by_branch("pixels"), top=1),
        _chart("Share of the loss, by error", rows, by_branch("loss"), top=1),
        _chart("Share of the loss, by class", rows, by_class("loss"), top=1),
        _chart("Share of the gradient, by class", rows, by_class("gradient"), top=1),
        *(_chart(f"Mean mask by class ({term})", rows, mask(term)) for term in findings[-1]["mask"]),
    ]


def _loss_lines(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    names = list(rows[-1]["terms"])
    if len(names) == 1:
        return [Line(names[0], [row["loss"] for row in rows])]
    terms = [
        Line(name, [row["terms"][name] for row in rows], dash=dash)
        for name, dash in zip(names, itertools.cycle(DASHES), strict=False)
    ]
    return [Line("sum", [row["loss"] for row in rows]), *terms]


def _metric_lines(
    rows: Sequence[Mapping[str, Any]],
    colors: Sequence[str],
    of: Callable[[Mapping[str, Any]], float | None],
) -> list[Line]:
    evaluations = [row["validation"] for row in rows]
    defects = list(evaluations[-1]["classes"])[1:]
    classes = [
        Line(name, [of(e["classes"][name]) for e in evaluations], color)
        for name, color in zip(defects, colors, strict=False)
    ]
    mean = Line("mean", [of(defect_means(e)) for e in evaluations], dash=DASHES[0])
    return [*classes, mean] if len(classes) > 1 else classes


def _chart(
    title: str, rows: Sequence[Mapping[str, Any]], lines: Sequence[Line], top: float | None = None
) -> Chart:
    return Chart(title, lines, _drawing(title, "epoch", [row["epoch"] for row in rows], lines, top))


def _cumulative(values: Sequence[float | None]) -> list[float | None]:
    return list(itertools.accumulate(values, lambda a, b: None if a is None or b is None else a + b))


def _upper_ends(lines: Sequence[Line]) -> list[float]:
    """Where on the axis of the error the values of a histogram are drawn."""
    ranges = len(lines[0].values)
    return [(i + 1) / ranges for i in range(ranges)]


def _drawing(salt: str, axis: str, places: Sequence[float], lines: Sequence[Line], top: float | None) -> str:
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, in the page's own font
        "svg.hashsalt": salt,  # names in the file come from its content, and differ between charts
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
        canvas = Figure(figsize=(4.4, 2.4), layout="constrained")
        axes = canvas.add_subplot()
        for line in lines:
            dashes = (0, tuple(map(float, line.dash.split()))) if line.dash else "solid"
            values = [math.nan if v is None or not math.isfinite(v) else v for v in line.values]
            (curve,) = axes.plot(places, values, color=line.color, linestyle=dashes, linewidth=1.3)
            if len(values) == 1:  # one value makes no line
                curve.set(marker="o", markersize=3)
        lowest = min((v for line in lines for v in line.values if v is not None), default=0)
        axes.set_ylim(lowest if -math.inf < lowest < 0 else 0, top)
        axes.set_xlim(0, 1.03 * places[-1])
        if axis == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel(axis)
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inlined(file.getvalue())


def _inlined(svg: str) -> str:
    """An SVG file as an element of an HTML page, without what concerns files and names nobody refers to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg\b.*?(viewBox="[^"]*").*?>', r"<svg \1>", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace(INK, "currentColor")
