"""Figures of one part of a data set, per class, from confusion counts."""

import math
import statistics
import warnings
from collections.abc import Iterable, Sequence
from typing import TypeVar

import jax
import numpy as np

from balanced_jax.metrics import ConfusionCounts, dice, iou, precision, recall
from train.measures.records import ClassFigures, Figures, IoUReadings

Tree = TypeVar("Tree")


def stack(images: Sequence[Tree]) -> Tree:
    """Stack the trees of single images: arrays get a leading axis."""
    return jax.tree.map(lambda *x: np.stack(x), *images)


def figures(counts: ConfusionCounts, classes: Sequence[str]) -> Figures:
    """Return the figures of one part of a data set.

    Args:
        counts: int [images, classes] each.
        classes: names, the background first.
    """
    dataset, present, union, everywhere = (
        iou(counts, reading) for reading in ("dataset", "present", "union", "all")
    )
    ratios = [metric(counts, "dataset") for metric in (dice, precision, recall)]
    return Figures(
        images=np.shape(counts.true_positives)[0],
        headline=mean_of_known(dataset[1:]),
        mean_with_background=mean_of_known(dataset),
        classes={
            name: ClassFigures(
                IoUReadings(*(or_none(values[k]) for values in (dataset, present, union, everywhere))),
                *(or_none(values[k]) for values in ratios),
            )
            for k, name in enumerate(classes)
        },
    )


def defect_means(figures: Figures) -> ClassFigures:
    """Return each figure averaged over the defect classes that have it."""
    defects = list(figures.classes.values())[1:]

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None

    return ClassFigures(
        IoUReadings(
            dataset=mean(row.iou.dataset for row in defects),
            present=mean(row.iou.present for row in defects),
            union=mean(row.iou.union for row in defects),
            all=mean(row.iou.all for row in defects),
        ),
        dice=mean(row.dice for row in defects),
        precision=mean(row.precision for row in defects),
        recall=mean(row.recall for row in defects),
    )


def image_iou(counts: ConfusionCounts) -> float:
    """Return the mean IoU of the defect classes labeled or predicted in one image; NaN without any."""
    values = iou(jax.tree.map(lambda x: x[None], counts), "union")[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of the mean of no numbers, which is NaN
        return float(np.nanmean(values))


def or_none(value: float) -> float | None:
    """Return a figure as records hold it: None for NaN."""
    return None if math.isnan(value) else float(value)


def mean_of_known(values: np.ndarray) -> float | None:
    """Return the mean of the values that are not NaN; None without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
