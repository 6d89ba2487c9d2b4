"""Records of comparisons as their runs would give them; arguments change single fields."""

import itertools
from collections.abc import Callable, Mapping, Sequence

from train.comparison.records import (
    CellRecord,
    ComparisonRecord,
    Difference,
    Row,
    RowFigures,
    Spread,
)

CLASSES = ("background", "scratch", "pit")
VERSIONS = {"Python": "3.12.1", "jax": "0.10.2"}
NO_SPREAD = Spread(None, None)


def row_figures(iou: float | None, difference: float | None = None, /, **changes) -> RowFigures:
    """Figures whose readings are all different; two seeds."""

    def spread(offset: float) -> Spread:
        return NO_SPREAD if iou is None else Spread(iou + offset, 0.012)

    values: dict = {
        "iou": spread(0),
        "present": spread(0.05),
        "union": spread(-0.05),
        "all": spread(0.1),
        "precision": spread(0.02),
        "recall": spread(0.03),
        "classes": {"scratch": spread(0.1), "pit": spread(-0.1)},
        "difference": None
        if difference is None
        else Difference(2, difference, (difference - 0.02, difference + 0.03)),
    }
    return RowFigures(**values | changes)


def row(name: str, levels: Mapping[str, str], iou: float | None, difference=None, /, **changes) -> Row:
    """A row whose IoU under thresholds is higher by 0.01."""
    decided = None if iou is None else iou + 0.01
    values: dict = {
        "name": name,
        "levels": dict(levels),
        "seeds": ["0", "1"],
        "most_probable": row_figures(iou, difference),
        "decided": row_figures(decided, difference),
        "published": None,
    }
    return Row(**values | changes)


def cell(name: str, levels: Mapping[str, str], **changes) -> CellRecord:
    """A cell that is done."""
    values: dict = {
        "state": "done",
        "error": None,
        "started": "2026-07-01T10:22:33+00:00",
        "commit": "0123456789abcdef",
        "versions": VERSIONS,
        "seconds": 90.0,
        "iou": 0.5,
        "class_weights": {},
    }
    return CellRecord(name=name, levels=dict(levels), **values | changes)


def open_cell(name: str, levels: Mapping[str, str], **changes) -> CellRecord:
    """A cell without a run directory."""
    nothing: dict = {"started": None, "commit": None, "versions": {}, "seconds": None, "iou": None}
    return cell(name, levels, **{"state": "open"} | nothing | changes)


def comparison(
    axes: Mapping[str, Sequence[str]] | None = None,
    iou: Callable[[Mapping[str, str]], float | None] = lambda levels: 0.6,
    **changes,
) -> ComparisonRecord:
    """A comparison with a row for each combination of levels, and two seeds.

    Args:
        axes: levels by axis, without the seeds; None gives two objectives.
        iou: the figure of the row with given levels.
        changes: of fields of the record.
    """
    axes = {"objective": ["cross-entropy", "paper"]} if axes is None else axes
    reference = next(({axis: levels[0]} for axis, levels in axes.items() if len(levels) > 1), {})
    combinations = [
        dict(zip(axes, reversed(levels), strict=True))
        for levels in itertools.product(*reversed(list(axes.values())))
    ]

    def difference(levels: Mapping[str, str]) -> float | None:
        if levels == {**levels, **reference}:
            return None
        own, other = iou(levels), iou({**levels, **reference})
        return None if own is None or other is None else own - other

    def name(levels: Mapping[str, str]) -> str:
        shown = [
            level if axis in ("objective", "model") else f"{axis} {level}"
            for axis, level in levels.items()
            if len(axes[axis]) > 1
        ]
        return ", ".join(shown) or "base"

    values: dict = {
        "title": "losses",
        "part": "test",
        "axes": {axis: list(levels) for axis, levels in axes.items()} | {"seed": ["0", "1"]},
        "reference": reference,
        "classes": list(CLASSES),
        "rows": [row(name(levels), levels, iou(levels), difference(levels)) for levels in combinations],
        "cells": [
            cell("-".join([*levels.values(), f"seed_{seed}"]), levels | {"seed": seed}, iou=iou(levels))
            for seed in ("0", "1")
            for levels in combinations
        ],
    }
    return ComparisonRecord(**values | changes)
