"""An evaluation as tables for the screen, narrow enough for eighty columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from train.measures.figures import RATIOS, READINGS


def tables(evaluation: Mapping[str, Any]) -> list[Table]:
    """All that evaluation.json says; the breakdowns are those of the most probable classes."""
    return [
        figures_table(evaluation),
        decided_table(evaluation["decided"]),
        images_table(evaluation),
        boundary_table(evaluation),
        components_table(evaluation),
        confusion_table(evaluation),
    ]


def figures_table(evaluation: Mapping[str, Any]) -> Table:
    """Figures of the most probable classes."""
    out = _table(
        f"{evaluation['part']} part, {evaluation['images']} images",
        [*(f"IoU\n{reading}" for reading in READINGS), "Dice", "precision", "recall"],
        f"{_headline(evaluation)}\nwith background {_text(evaluation['mean_with_background'])}",
    )
    for name, row in evaluation["classes"].items():
        out.add_row(name, *map(_text, [*row["iou"].values(), *(row[ratio.__name__] for ratio in RATIOS)]))
    return out


def decided_table(decided: Mapping[str, Any]) -> Table:
    """Data-set figures under decision thresholds and minimum areas."""
    out = _table(
        "the same with thresholds and minimum areas chosen on the validation part",
        ["threshold", "area", "IoU", "95 %", "Dice", "precision", "recall"],
        _headline(decided),
    )
    for name, threshold in decided["thresholds"].items():
        row = decided["classes"][name]
        out.add_row(
            name,
            _text(threshold),
            str(decided["minimum_areas"][name]),
            _text(row["iou"]["dataset"]),
            _interval(decided["intervals"]["classes"][name]),
            *(_text(row[ratio.__name__]) for ratio in RATIOS),
        )
    return out


def images_table(evaluation: Mapping[str, Any]) -> Table:
    """How well images with a defect are told from those without."""
    found = evaluation["image_level"]
    out = _table(
        "images put in order by their surest pixel", ["images", "with it", "average precision", "95 %"]
    )
    rows = {"any defect": found["any"], **found["classes"]}
    for name, row in rows.items():
        out.add_row(
            name,
            str(found["images"]),
            str(row["positive"]),
            _text(row["average_precision"]),
            _interval(row["interval"]),
        )
    return out


def boundary_table(evaluation: Mapping[str, Any]) -> Table:
    """What is found and what is false at boundaries and inside, and the interval of each IoU."""
    out = _table(
        "pixels that touch another class (boundary), and the others (inside)",
        ["IoU 95 %", "% on\nboundary", "recall\nthere", "recall\ninside", "% of false\npositives there"],
    )
    for name, row in evaluation["boundary"].items():
        out.add_row(
            name,
            _interval(evaluation["intervals"]["classes"][name]),
            _percent(row["share"]),
            _text(row["recall"]),
            _text(row["recall_inside"]),
            _percent(row["false_positives"]),
        )
    return out


def components_table(evaluation: Mapping[str, Any]) -> Table:
    """Connected defects by their size."""
    out = _table(
        "connected defects",
        ["pixels", "labelled", "touched", "half found", "false alarms"],
        "touched, half found: by a prediction of the class; false alarm: predicted, touches no label of it",
    )
    for name, ranges in evaluation["components"].items():
        for area, kinds in ranges.items():
            if any(kinds.values()):
                out.add_row(name, area, *map(str, kinds.values()))
    return out


def confusion_table(evaluation: Mapping[str, Any]) -> Table:
    """Which class is taken for which."""
    out = _table("% of a class's pixels (row) that are predicted as each class", evaluation["classes"])
    for name, row in zip(evaluation["classes"], evaluation["confusion"], strict=True):
        pixels = sum(row)
        out.add_row(name, *(_percent(count / pixels if pixels else None) for count in row))
    return out


def _table(title: str, columns: Iterable[str], caption: str | None = None) -> Table:
    """An empty table of classes."""
    out = Table(box=box.SIMPLE, title=title, caption=caption)
    out.add_column("class", no_wrap=True)
    for column in columns:
        out.add_column(column, justify="right", no_wrap=True)
    return out


def _headline(figures: Mapping[str, Any]) -> str:
    found = f"mean data-set IoU of the defect classes {_text(figures['headline'])}"
    interval, groups = figures["intervals"]["headline"], figures["intervals"]["groups"]
    if interval is None:
        return found
    return f"{found} (95 % {_interval(interval)}, {groups} groups)"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.3g}"


def _interval(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else "{:.2f}-{:.2f}".format(*ends)
