"""Intervals: whole groups are drawn, and nothing is claimed where groups cannot differ."""

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts, iou
from train.measures.bootstrap import RESAMPLES, iou_intervals, resample_weights
from train.measures.records import IoUIntervals

GROUPS = ["b", "a", "b", "c", "a", "d"]
CLASSES = ("background", "crack", "pit")


def counts(seed: int = 0, images: int = 6) -> ConfusionCounts:
    return ConfusionCounts(*np.random.default_rng(seed).integers(0, 100, (3, images, 3)))


def test_images_of_a_group_are_drawn_together_and_groups_as_often_as_there_are_any():
    weights = resample_weights(GROUPS)
    assert weights.shape == (RESAMPLES, 6)
    np.testing.assert_array_equal(weights[:, [0, 1]], weights[:, [2, 4]])
    assert (weights[:, [0, 1, 3, 5]].sum(1) == 4).all()
    assert weights[:, 3].var() == pytest.approx(0.75, rel=0.2)  # of 4 draws with a chance of 1/4
    np.testing.assert_array_equal(weights, resample_weights(GROUPS))


def test_intervals_are_percentiles_of_the_figure_over_resamples():
    result = iou_intervals(counts(), GROUPS, CLASSES)
    values = []
    for weights in resample_weights(GROUPS).astype(int):
        repeated = ConfusionCounts(*(count.repeat(weights, axis=0) for count in counts()))
        values.append(iou(repeated, "dataset"))
    values = np.array(values)
    assert result.groups == 4
    assert result.headline == pytest.approx(np.percentile(values[:, 1:].mean(1), (2.5, 97.5)))
    for k, name in enumerate(CLASSES):
        assert result.classes[name] == pytest.approx(np.percentile(values[:, k], (2.5, 97.5)))
    low, high = result.headline or (1, 0)
    assert low < iou(counts(), "dataset")[1:].mean() < high


def test_a_class_that_a_resample_lacks_is_left_out_of_it():
    shown = counts()
    for count in shown:
        count[1:3, 2] = 0
        count[4:, 2] = 0  # the pits are in groups b and c
    result = iou_intervals(shown, GROUPS, CLASSES)
    classes, pits = [], []
    for weights in resample_weights(GROUPS).astype(int):
        ious = iou(ConfusionCounts(*(count.repeat(weights, axis=0) for count in shown)), "dataset")
        classes.append(np.nanmean(ious[1:]))
        pits.append(ious[2])
    assert np.isnan(pits).any()
    assert result.classes["pit"] == pytest.approx(np.nanpercentile(pits, (2.5, 97.5)))
    assert result.headline == pytest.approx(np.percentile(classes, (2.5, 97.5)))


def test_where_fewer_than_two_groups_bear_on_a_figure_there_is_no_interval():
    shown = counts()
    for count in shown:
        count[[0, 2, 3, 5], 2] = 0  # pits in group a alone, in two images
    result = iou_intervals(shown, GROUPS, CLASSES)
    assert result.classes["pit"] is None
    assert result.classes["crack"] is not None
    alone = iou_intervals(counts(), ["a"] * 6, CLASSES)
    assert alone == IoUIntervals(1, None, dict.fromkeys(CLASSES))
    nothing = ConfusionCounts(*np.zeros((3, 6, 3), int))
    assert iou_intervals(nothing, GROUPS, CLASSES).headline is None
