"""Statistics of a data set on the screen and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from train.display.pictures import class_colors
from train.errors import ANOTHER_OUT, writing
from train.inspection.muting import MUTED
from train.run.directory import write_json


def show_statistics(found: Mapping[str, Any], out: Path, console: Console) -> None:
    """Prints the tables, and writes statistics.json and statistics.png into a folder.

    Raises:
        UserError: nothing can be written there.
    """
    for table in tables(found):
        console.print(table)
    with writing(f"{out}", ANOTHER_OUT):
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "statistics.json", found)
        draw(found).savefig(out / "statistics.png")
    console.print(f"{out / 'statistics.json'}, {out / 'statistics.png'}", soft_wrap=True)


def tables(found: Mapping[str, Any]) -> list[Table]:
    """Statistics for the screen."""
    images = sum(part["images"] for part in found["parts"].values())
    parts = ", ".join(
        f"{p['images']} {name} ({p['defective']} defective)" for name, p in found["parts"].items()
    )
    ratios = {
        name: {
            "images": f"{row['images']}",
            "% of images": _percent(row["image_ratio"]),
            "% of pixels": _percent(row["pixel_ratio"]),
            "% in its images": _percent(row["mean_in_images"]),
            "% on boundary": _percent(row["boundary_share"]),
        }
        for name, row in found["classes"].items()
    }
    stored = _grid(f"{images} images: {parts}", ratios)
    sizes = found["sizes"]
    smallest, largest = _size(sizes["smallest"]), _size(sizes["largest"])
    stored.caption = (
        f"heights and widths from {smallest} to {largest}, {sizes['distinct']} different sizes; "
        f"{_percent(found['boundary_share'])} % of all pixels on a boundary"
    )
    seen = found["seen"]
    size = "their own size" if seen["size"] is None else _size(seen["size"])
    components = {
        name: {
            "number": f"{row['components']['number']}",
            **{
                kind: " / ".join(f"{x:.4g}" for x in row["components"][kind])
                for kind in ("area", "width", "extent")
            },
        }
        for name, row in found["classes"].items()
        if "components" in row
    }
    shown = [stored, _grid("connected defects, in pixels: 5 / 50 / 95 %", components)]
    for kind, title in (
        ("weight", "class weight by beta"),
        ("rescaled", "rescaled confusion mask by window"),
    ):
        rows = {name: {k: _text(x) for k, x in row[kind].items()} for name, row in seen["classes"].items()}
        shown.append(_grid(f"training part at {size}: mean {title}", rows))
    advice = Table(title="recommended")
    for column in ("option", "value", "reason"):
        advice.add_column(column)
    for name, choice in found["recommended"].items():
        value = choice["value"]
        advice.add_row(name, _size(value) if isinstance(value, list) else f"{value}", choice["reason"])
    return [*shown, advice]


def _grid(title: str, rows: Mapping[str, Mapping[str, str]]) -> Table:
    """A table of classes; every row has the same columns."""
    table = Table(title=title)
    table.add_column("class", no_wrap=True)
    for column in next(iter(rows.values()), {}):
        table.add_column(column, justify="right")
    for name, values in rows.items():
        table.add_row(name, *values.values())
    return table


def draw(found: Mapping[str, Any]) -> Figure:
    """Statistics as a picture: how rare each class is, how wide its defects are, what masks leave of it."""
    names = list(found["classes"])[1:]
    colors = [tuple(color / 255) for color in class_colors(len(names) + 1)]
    figure = Figure(figsize=(11, 3.4), layout="constrained", dpi=120)
    shares, widths, masks = figure.subplots(1, 3)
    rows = np.arange(len(names))
    for offset, key, alpha in ((-0.2, "image_ratio", 0.5), (0.2, "pixel_ratio", 1)):
        values = [100 * found["classes"][name][key] for name in names]
        shares.barh(rows + offset, values, 0.38, color=colors, alpha=alpha)
    shares.set(xscale="log", title="% of images (pale) and of pixels")
    for k, name in enumerate(names):
        sizes = found["classes"][name].get("components")
        if sizes:
            low, middle, high = sizes["width"]
            widths.plot([low, high], [k, k], color=colors[k], linewidth=3, solid_capstyle="butt")
            widths.plot([middle], [k], "o", color=colors[k])
    widths.set(xscale="log", title="width in pixels: 5, 50, 95 %")
    for axes in (shares, widths):
        axes.set(yticks=rows, yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    for k, name in enumerate(names):
        curve = found["seen"]["classes"][name]["rescaled"]
        values = [np.nan if v is None else v for v in curve.values()]
        masks.plot([int(w) for w in curve], values, "o-", color=colors[k])
    masks.axhline(MUTED, color="grey", linewidth=0.8, linestyle="--")
    masks.set(xlabel="window", ylim=(min(0, masks.get_ylim()[0]), 1), title="rescaled confusion mask")
    return figure


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.3g}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _size(size: Sequence[float]) -> str:
    return "x".join(f"{side:g}" for side in size)
