"""How far a figure might lie from that of other images of the same kind: the bootstrap over groups.

Images of one group show the same item and err alike, so groups are drawn, not images: as many as there are,
with replacement, again and again. The interval holds the middle 95 % of what a figure then is (Efron and
Tibshirani 1993, An Introduction to the Bootstrap, section 13.3).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from balanced_jax.metrics import ConfusionCounts
from train.measures.ranking import average_precision

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)

Interval = tuple[float, float]


def resamples(groups: Sequence[str]) -> np.ndarray:
    """How often each image stands in each resample, float64 [resamples, images]; always the same draws."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    drawn = np.random.default_rng(0).integers(len(names) or 1, size=(RESAMPLES, len(names)))
    times = [np.bincount(draw, minlength=len(names)) for draw in drawn]
    return np.stack(times).astype(float)[:, group]  # floats, because only their products are fast


def iou_intervals(counts: ConfusionCounts, groups: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Intervals of data-set IoUs, as they stand in evaluation.json.

    Args:
        counts: int [images, classes] each.
        groups: of each image.
        classes: their names; the first is the background.

    Returns:
        `groups`, their number; `headline`, the interval of the mean over the defect classes, and one for each
        of `classes`. None where fewer than two groups show the class, labelled or predicted, because nothing
        is then known of how groups differ. A class that a resample lacks is left out of that one.
    """
    of_images = np.stack(counts).astype(float)
    hits, wrong, missed = resamples(groups) @ of_images
    whole = hits + wrong + missed
    ious = np.divide(hits, whole, out=np.full_like(hits, np.nan), where=whole > 0)
    defects = np.ma.masked_invalid(ious[:, 1:]).mean(1).filled(np.nan)
    shown = np.greater(of_images.sum(0), 0)
    return {
        "groups": len(set(groups)),
        "headline": _interval(defects) if _differ(groups, shown[:, 1:].any(1)) else None,
        "classes": {
            name: _interval(ious[:, k]) if _differ(groups, shown[:, k]) else None
            for k, name in enumerate(classes)
        },
    }


def average_precision_intervals(
    scores: np.ndarray, positive: np.ndarray, groups: Sequence[str]
) -> list[Interval | None]:
    """Intervals of `average_precision`, one for each thing that is looked for.

    Args:
        scores: of each image, the surest highest, [images, things].
        positive: which images have it, bool [images, things].
        groups: of each image.

    Returns:
        None where fewer than two groups have a positive image.
    """
    times = resamples(groups)
    return [
        _interval(average_precision(of_thing, has_it, times)) if _differ(groups, has_it) else None
        for of_thing, has_it in zip(scores.T, positive.T, strict=True)
    ]


def _differ(groups: Sequence[str], shown: np.ndarray) -> bool:
    """Whether the images that bear on a figure are of two groups or more."""
    return len(set(np.asarray(groups)[shown])) > 1


def _interval(values: np.ndarray) -> Interval:
    """Of a figure's values in the resamples, NaN in those where it has none."""
    low, high = np.percentile(values[~np.isnan(values)], PERCENTILES)
    return float(low), float(high)
