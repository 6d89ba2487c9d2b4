"""The report of a run: one HTML file that needs nothing else, to be read on a screen of any width.

Each section of the page has one function here that makes what `report.html.jinja` shows in it.
"""

import base64
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from PIL import Image

from train.data.example import VOID
from train.data.pixels import visible
from train.display.pictures import HEAT_TICKS, class_colors, enlarge, heat, heat_color, layer
from train.display.report.charts import INK, holder_curves, learning_curves
from train.inspection.muting import MUTED, warnings
from train.measures.bootstrap import RESAMPLES
from train.measures.figures import defect_means
from train.paths import Place
from train.run.directory import write_text

SIDE = 400
"""Pixels of the longer side of a picture on the page; smaller ones are enlarged by the browser."""
LOSSLESS = 40_000
"""Bytes up to which a picture is kept as PNG; a larger one becomes JPEG."""


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


class CostPicture(NamedTuple):
    """One image of the evaluated part, and what its pixels cost before and after training."""

    name: str
    image: np.ndarray
    """uint8 [h, w, 1 or 3]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 is void."""
    before: np.ndarray
    """Cost of each pixel as the network sees the image, [h', w']; NaN where void."""
    after: np.ndarray


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
    path: Place,
    *,
    title: str,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    survey: Mapping[str, Any],
    pictures: Mapping[str, Sequence[Picture]],
    costs: Sequence[CostPicture],
    predicted_per_second: float,
) -> None:
    """Writes the report, whole or not at all; equal input gives an equal file.

    Args:
        path: where to.
        title: what the page is headed.
        config: the config in the JSON form of `train.configfile`.
        rows: the lines of metrics.jsonl, one for each epoch.
        evaluation: what evaluation.json holds.
        survey: what `train.inspection.muting.survey` found in the training labels.
        pictures: images of the evaluated part, in groups by their heading.
        costs: some of them, with what their pixels cost.
        predicted_per_second: images that the network takes from pixels to classes.
    """
    colors = [_hex(color) for color in class_colors(len(evaluation["classes"]))]
    findings = [row["findings"] for row in rows if row.get("findings")]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure,
        "digits": digits,
        "percent": percent,
        "interval": interval,
        "duration": duration,
    }
    page = environment.get_template("report.html.jinja").render(
        title=title,
        evaluation=evaluation,
        defects=list(evaluation["classes"])[1:],
        colors=colors,
        means=defect_means(evaluation),
        decided_means=defect_means(evaluation["decided"]),
        confusion=confusion_rows(evaluation["confusion"]),
        components=component_rows(evaluation["components"]),
        groups={heading: [drawn(picture) for picture in group] for heading, group in pictures.items()},
        void_shown=any((picture.label == VOID).any() for group in pictures.values() for picture in group),
        charts=learning_curves(rows, colors),
        holders=holder_curves(rows, colors),
        thresholds=findings[-1]["thresholds"] if findings else None,
        boundary_to_inside=findings[-1]["boundary_to_inside"] if findings else None,
        costs=[drawn_costs(picture) for picture in costs],
        heat_scale=[_hex(color) for color in heat_color(np.geomspace(HEAT_TICKS[0], HEAT_TICKS[-1], 16))],
        heat_ticks=HEAT_TICKS,
        ink=INK,
        survey=survey,
        muted=MUTED,
        warnings=warnings(survey),
        config=tree("", config).inside,
        timing=timing(rows),
        predicted_per_second=predicted_per_second,
        resamples=RESAMPLES,
    )
    write_text(path, page)


def figure(value: float | None, places: int = 3) -> str:
    """A number as the page shows it; a dash where there is none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def digits(value: float, count: int) -> str:
    """A number of any size in so many digits that count, no power of ten; a dash where there is none."""
    if math.isnan(value):
        return figure(value)
    return np.format_float_positional(value, precision=count, fractional=False, trim="-")


def percent(share: float | None) -> str:
    """A share as a percentage with one place; what rounds to nothing but is something says so."""
    return "<0.1" if share and share < 0.0005 else figure(share and 100 * share, 1)


def interval(ends: Sequence[float] | None) -> str:
    """From where to where, in two places because more would say nothing; a dash where nobody knows."""
    return "\N{EN DASH}".join(figure(end, 2) for end in ends) if ends else figure(None)


def duration(seconds: float) -> str:
    """A time in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


# The breakdowns.


def confusion_rows(confusion: Sequence[Sequence[int]]) -> list[list[float | None]]:
    """Each row of a confusion matrix as shares of its pixels; None where it has none."""
    return [[count / sum(row) if sum(row) else None for count in row] for row in confusion]


def component_rows(
    components: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> dict[str, list[tuple[str, list[int]]]]:
    """For each class the ranges of area that hold any component, and its counts."""
    return {
        name: [(area, list(kinds.values())) for area, kinds in ranges.items() if any(kinds.values())]
        for name, ranges in components.items()
    }


# Pictures.


def drawn(picture: Picture) -> dict[str, Any]:
    """A picture as the page takes it: the image once, and the two drawings that lie over it."""
    return {
        **_frame(picture),
        "iou": picture.iou,
        "prediction": _data_uri(_at_most(layer(enlarge(picture.prediction, SIDE)), 2 * SIDE)),
    }


def drawn_costs(picture: CostPicture) -> dict[str, Any]:
    """The same with two drawings of the cost, and what is said of each."""
    return {
        **_frame(picture),
        "costs": [
            {
                "when": when,
                "heat": _data_uri(_at_most(enlarge(heat(cost), SIDE), SIDE)),
                "mean": mean_cost(cost),
                "half": half_of_the_cost(cost),
            }
            for when, cost in (("before", picture.before), ("after", picture.after))
        ],
    }


def mean_cost(cost: np.ndarray) -> float:
    """The loss of an image; NaN where all of it is void."""
    valid = cost[~np.isnan(cost)]
    return float(valid.mean()) if valid.size else math.nan


def half_of_the_cost(cost: np.ndarray) -> float:
    """The smallest share of an image's pixels that hold half of its loss; NaN where it has none."""
    descending = np.sort(cost[~np.isnan(cost)].astype(float))[::-1]
    sums = descending.cumsum()
    if not sums.size or not 0 < sums[-1] < math.inf:
        return math.nan
    return float((np.searchsorted(sums, sums[-1] / 2) + 1) / sums.size)


def _frame(picture: Picture | CostPicture) -> dict[str, Any]:
    height, width = picture.label.shape
    return {
        "name": picture.name,
        "width": width,
        "height": height,
        "small": max(height, width) < SIDE // 2,
        "image": _data_uri(_at_most(visible(picture.image), SIDE)),
        # Outlines are flat and pack well; they may stay as sharp as they are up to twice the size.
        "label": _data_uri(_at_most(layer(enlarge(picture.label, SIDE)), 2 * SIDE)),
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
