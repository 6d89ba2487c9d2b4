"""Figures of a network on one part of a data set, per class and each under its own name."""

import math
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from balanced_jax.metrics import ConfusionCounts, dice, iou, precision, recall

Tree = TypeVar("Tree")
READINGS = ("dataset", "present", "union", "all")
RATIOS = (dice, precision, recall)


def stack(images: Sequence[Tree]) -> Tree:
    """Counts, or other sums, of single images as those of many: arrays get a leading axis."""
    return jax.tree.map(lambda *x: np.stack(x), *images)


def figures(counts: ConfusionCounts, classes: Sequence[str]) -> dict[str, Any]:
    """All figures of one part of a data set, as they stand in evaluation.json.

    Args:
        counts: int32 [images, classes] each.
        classes: their names; the first is the background.

    Returns:
        `images`; `headline`, the data-set IoU averaged over the defect classes; `mean_with_background`, the
        same over all classes; and for each of `classes` the `iou` in each reading and the data-set `dice`,
        `precision` and `recall`. A figure that no image bears on is None, and left out of the means.
    """
    readings = {reading: iou(counts, reading) for reading in READINGS}
    others = {ratio.__name__: ratio(counts, "dataset") for ratio in RATIOS}
    return {
        "images": np.shape(counts.true_positives)[0],
        "headline": _mean(readings["dataset"][1:]),
        "mean_with_background": _mean(readings["dataset"]),
        "classes": {
            name: {
                "iou": {reading: or_none(values[k]) for reading, values in readings.items()},
                **{metric: or_none(values[k]) for metric, values in others.items()},
            }
            for k, name in enumerate(classes)
        },
    }


def defect_means(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Each figure averaged over the defect classes that have it, in the form of a class's figures."""
    defects = list(evaluation["classes"].values())[1:]

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None

    return {
        "iou": {reading: mean(row["iou"][reading] for row in defects) for reading in defects[0]["iou"]},
        **{ratio.__name__: mean(row[ratio.__name__] for row in defects) for ratio in RATIOS},
    }


def image_iou(counts: ConfusionCounts) -> float:
    """IoU of one image: mean over the defect classes labelled or predicted in it; NaN if there are none."""
    values = iou(jax.tree.map(lambda x: x[None], counts), "union")[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no numbers is the NaN that is wanted
        return float(np.nanmean(values))


def or_none(value: float) -> float | None:
    """A figure as JSON takes it: None for NaN."""
    return None if math.isnan(value) else float(value)


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
