"""95 % intervals by the bootstrap over groups of images.

Images of one group show the same item and their errors are correlated, so whole groups are drawn with
replacement, as many as there are. The interval holds the middle 95 % of a figure over the resamples (Efron
and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3).
"""

from collections.abc import Sequence

import numpy as np

from balanced_jax.metrics import ConfusionCounts
from train.measures.records import Interval, IoUIntervals

RESAMPLES = 1000
_PERCENTILES = (2.5, 97.5)


def resample_weights(groups: Sequence[str]) -> np.ndarray:
    """Return how often each resample holds each image, float64 [resamples, images]; the seed is fixed."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    drawn = np.random.default_rng(0).integers(len(names) or 1, size=(RESAMPLES, len(names)))
    times = [np.bincount(draw, minlength=len(names)) for draw in drawn]
    return np.stack(times).astype(float)[:, group]  # floats, because numpy multiplies only those by BLAS


def iou_intervals(counts: ConfusionCounts, groups: Sequence[str], classes: Sequence[str]) -> IoUIntervals:
    """Return the intervals of data-set IoUs: of each class, and of the mean over the defect classes.

    A class that a resample lacks is left out of the mean of that resample.

    Args:
        counts: int [images, classes] each.
        groups: of each image.
        classes: names, the background first.
    """
    ious = resampled_ious(counts, resample_weights(groups))
    shown = images_that_show(counts)
    return IoUIntervals(
        groups=len(set(groups)),
        headline=interval(defect_mean(ious), groups, np.any(shown[:, 1:], axis=1)),
        classes={name: interval(ious[:, k], groups, shown[:, k]) for k, name in enumerate(classes)},
    )


def resampled_ious(counts: ConfusionCounts, weights: np.ndarray) -> np.ndarray:
    """Return the data-set IoU of each class in each resample, float64 [resamples, classes].

    Args:
        counts: int [images, classes] each.
        weights: of `resample_weights`.

    Returns:
        NaN where a resample shows no pixel of the class, labeled or predicted.
    """
    true_positives, false_positives, false_negatives = weights @ np.stack(counts).astype(float)
    union = true_positives + false_positives + false_negatives
    return np.divide(true_positives, union, out=np.full_like(union, np.nan), where=union > 0)


def defect_mean(ious: np.ndarray) -> np.ndarray:
    """Return the mean over the defect classes that have an IoU, [resamples]; NaN without any."""
    return np.ma.masked_invalid(ious[:, 1:]).mean(1).filled(np.nan)


def images_that_show(counts: ConfusionCounts) -> np.ndarray:
    """Return which images show each class, labeled or predicted, bool [images, classes]."""
    return np.any(np.stack(counts), axis=0)


def interval(resampled: np.ndarray, groups: Sequence[str], shown: np.ndarray) -> Interval | None:
    """Return the interval of a figure.

    Args:
        resampled: the figure in each resample, NaN where it has no value.
        groups: of each image.
        shown: which images bear on the figure, bool [images].

    Returns:
        None where these images are of fewer than two groups, which says nothing about the variation of
        groups.
    """
    if len(set(np.asarray(groups)[shown])) < 2:
        return None
    low, high = np.percentile(resampled[~np.isnan(resampled)], _PERCENTILES)
    return float(low), float(high)
