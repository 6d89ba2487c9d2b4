"""The report of a run: one HTML file that needs nothing else, to be read on a screen of any width.

Each section of the page has one function here that makes what `report.html.jinja` shows in it.
"""

import base64
import io
import itertools
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from train.data.builder import VOID
from train.pictures import class_colors, enlarge, layer
from train.run_directory import write_text
from train.survey import MUTED, warnings

SIDE = 400
"""Pixels of the longer side of a picture on the page; smaller ones are enlarged by the browser."""
LOSSLESS = 40_000
"""Bytes up to which a picture is kept as PNG; a larger one becomes JPEG."""
INK = "#010203"
"""Stands in a chart for the colour of the page's text, which is another one in the dark."""
DASHES = ("6 2", "2 2", "8 2 2 2", "1 2", "4 4")


class Picture(NamedTuple):
    """One image of the evaluated part."""

    name: str
    image: np.ndarray
    """uint8 [h, w, 1 or 3]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 is void."""
    prediction: np.ndarray
    """Class ids, uint8 [h, w]."""
    iou: float
    """Mean over the defect classes labelled or predicted in it; NaN where there are none."""


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


class Node(NamedTuple):
    """One entry of the config, and what is inside."""

    name: str
    text: str
    origin: str = ""
    """The module that a function or class comes from."""
    inside: Sequence["Node"] = ()

    @property
    def short(self) -> bool:
        """Whether all that is inside goes on the same line."""
        letters = sum(len(node.name) + len(node.text) for node in self.inside)
        return 0 < letters < 50 and not any(node.origin or node.inside for node in self.inside)


def write_report(
    path: Path,
    *,
    title: str,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    survey: Mapping[str, Any],
    pictures: Mapping[str, Sequence[Picture]],
) -> None:
    """Writes the report, whole or not at all; equal input gives an equal file.

    Args:
        path: where to.
        title: what the page is headed.
        config: the config in the JSON form of `train.configfile`.
        rows: the lines of metrics.jsonl, one for each epoch.
        evaluation: what evaluation.json holds.
        survey: what `train.survey.survey` found in the training labels.
        pictures: images of the evaluated part, in groups by their heading.
    """
    colors = [_hex(color) for color in class_colors(len(evaluation["classes"]))]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "duration": duration}
    page = environment.get_template("report.html.jinja").render(
        title=title,
        evaluation=evaluation,
        defects=list(evaluation["classes"])[1:],
        colors=colors,
        means=defect_means(evaluation),
        groups={heading: [drawn(picture) for picture in group] for heading, group in pictures.items()},
        void_shown=any((picture.label == VOID).any() for group in pictures.values() for picture in group),
        charts=charts(rows, colors),
        ink=INK,
        survey=survey,
        muted=MUTED,
        warnings=warnings(survey),
        config=tree("", config).inside,
        timing=timing(rows),
    )
    write_text(path, page)


def figure(value: float | None, places: int = 3) -> str:
    """A number as the page shows it; a dash where there is none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    """A time in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def defect_means(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Each figure averaged over the defect classes that have it, in the form of a class's figures."""
    defects = list(evaluation["classes"].values())[1:]

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None

    return {
        "iou": {reading: mean(row["iou"][reading] for row in defects) for reading in defects[0]["iou"]},
        **{ratio: mean(row[ratio] for row in defects) for ratio in ("dice", "precision", "recall")},
    }


# Pictures.


def drawn(picture: Picture) -> dict[str, Any]:
    """A picture as the page takes it: the image once, and the two drawings that lie over it."""
    height, width = picture.label.shape
    return {
        "name": picture.name,
        "iou": picture.iou,
        "width": width,
        "height": height,
        "small": max(height, width) < SIDE // 2,
        "image": _data_uri(_at_most(picture.image, SIDE)),
        # Outlines are flat and pack well; they may stay as sharp as they are up to twice the size.
        "label": _data_uri(_at_most(layer(enlarge(picture.label, SIDE)), 2 * SIDE)),
        "prediction": _data_uri(_at_most(layer(enlarge(picture.prediction, SIDE)), 2 * SIDE)),
    }


def _at_most(pixels: np.ndarray, side: int) -> Image.Image:
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    shrink = min(1.0, side / max(image.size))
    width, height = (max(1, round(shrink * length)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _data_uri(image: Image.Image) -> str:
    kind, encoded = "png", _encoded(image, format="PNG", optimize=True)
    if len(encoded) > LOSSLESS and image.mode != "RGBA":
        kind, encoded = "jpeg", _encoded(image, format="JPEG", quality=80)
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


def _encoded(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


# Learning curves.


def charts(rows: Sequence[Mapping[str, Any]], colors: Sequence[str]) -> list[Chart]:
    """Loss, IoU on the validation part and learning rate over the epochs.

    Args:
        rows: one for each epoch; those without a validation are left out of its chart.
        colors: of the defect classes.
    """
    validated = [row for row in rows if row.get("validation")]
    made = [
        _chart("Training loss", rows, _loss_lines(rows)),
        _chart("IoU on the validation part (data set)", validated, _iou_lines(validated, colors), top=1),
        _chart("Learning rate", rows, [Line("", [row["learning_rate"] for row in rows])]),
    ]
    return [chart for chart in made if chart is not None]


def _loss_lines(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    names = list(rows[-1]["terms"]) if rows else []
    if len(names) == 1:
        return [Line(names[0], [row["loss"] for row in rows])]
    terms = [
        Line(name, [row["terms"][name] for row in rows], dash=dash)
        for name, dash in zip(names, itertools.cycle(DASHES), strict=False)
    ]
    return [Line("sum", [row["loss"] for row in rows]), *terms]


def _iou_lines(rows: Sequence[Mapping[str, Any]], colors: Sequence[str]) -> list[Line]:
    evaluations = [row["validation"] for row in rows]
    defects = list(evaluations[-1]["classes"])[1:] if rows else []
    classes = [
        Line(name, [e["classes"][name]["iou"]["dataset"] for e in evaluations], color)
        for name, color in zip(defects, colors, strict=False)
    ]
    mean = Line("mean", [e["headline"] for e in evaluations], dash=DASHES[0])
    return [*classes, mean] if len(classes) > 1 else classes


def _chart(
    title: str, rows: Sequence[Mapping[str, Any]], lines: Sequence[Line], top: float | None = None
) -> Chart | None:
    if not rows:
        return None
    return Chart(title, lines, _drawing(title, [row["epoch"] for row in rows], lines, top))


def _drawing(salt: str, epochs: Sequence[int], lines: Sequence[Line], top: float | None) -> str:
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
            (curve,) = axes.plot(epochs, values, color=line.color, linestyle=dashes, linewidth=1.3)
            if len(values) == 1:  # one value makes no line
                curve.set(marker="o", markersize=3)
        lowest = min((v for line in lines for v in line.values if v is not None), default=0)
        axes.set_ylim(lowest if -math.inf < lowest < 0 else 0, top)
        axes.set_xlim(0, 1.03 * epochs[-1])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel("epoch")
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inlined(file.getvalue())


def _inlined(svg: str) -> str:
    """An SVG file as an element of an HTML page, without what concerns files and names nobody refers to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg\b.*?(viewBox="[^"]*").*?>', r"<svg \1>", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace(INK, "currentColor")


# The config and the time.


def tree(name: str, value: Any) -> Node:
    """A config in JSON form, or a part of one, as it is shown."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return Node(name, "", inside=[tree(str(i), item) for i, item in enumerate(value)])
    if not isinstance(value, dict):
        return Node(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    if "@partial" in value:
        whole = tree(name, value["@partial"])
        given = dict(enumerate(value["args"])) | value["keywords"]
        return whole._replace(inside=[tree(str(key), item) for key, item in given.items()])
    origin, _, text = value.get("@type", value.get("@function", "")).rpartition(":")
    inside = [tree(key, item) for key, item in value.items() if not key.startswith("@")]
    return Node(name, text if text or inside else "none", origin, inside)


def timing(rows: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """How long the training took; None before the end of the first epoch."""
    if not rows:
        return None
    return {
        "epochs": len(rows),
        "steps": rows[-1]["step"],
        "seconds": sum(row["seconds"] for row in rows),
        "seconds_per_epoch": statistics.median(row["seconds"] for row in rows),
        "images_per_second": statistics.median(row["images_per_second"] for row in rows),
    }


def _hex(color: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color.tolist())
