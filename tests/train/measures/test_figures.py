"""Figures: every reading under its own name, nothing invented where there is nothing."""

from typing import Any

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts
from train.measures.figures import defect_means, figures, image_iou, stack
from train.measures.records import IoUReadings

PERFECT = ConfusionCounts(np.array([90, 10, 0]), np.array([0, 0, 0]), np.array([0, 0, 0]))
FALSE_ALARM = ConfusionCounts(np.array([80, 0, 0]), np.array([0, 20, 0]), np.array([20, 0, 0]))
approx: Any = pytest.approx  # accepted where a record holds a number
CLASSES = ("background", "crack", "pit")


def test_readings_differ_where_images_do():
    result = figures(stack([PERFECT, FALSE_ALARM]), CLASSES)
    crack = result.classes["crack"]
    assert crack.iou == IoUReadings(approx(1 / 3), 1, 0.5, 0.5)
    assert crack.recall == 1
    assert crack.precision == pytest.approx(1 / 3)
    assert crack.dice == pytest.approx(0.5)
    assert result.images == 2


def test_a_class_that_is_nowhere_has_no_figure_and_stays_out_of_the_mean():
    result = figures(stack([PERFECT, FALSE_ALARM]), CLASSES)
    assert result.classes["pit"].iou == IoUReadings(None, None, None, 1.0)
    assert result.headline == pytest.approx(1 / 3)
    assert result.mean_with_background == pytest.approx((170 / 190 + 1 / 3) / 2)


def test_an_images_figure_leaves_background_out():
    assert image_iou(PERFECT) == 1
    assert image_iou(FALSE_ALARM) == 0
    clean = ConfusionCounts(np.array([100, 0, 0]), np.zeros(3, int), np.zeros(3, int))
    assert np.isnan(image_iou(clean))


def test_means_over_the_defects_leave_out_those_without_a_figure():
    means = defect_means(figures(stack([PERFECT, FALSE_ALARM]), CLASSES))
    assert means.iou == IoUReadings(approx(1 / 3), 1, 0.5, 0.75)
    assert (means.dice, means.recall) == (0.5, 1)
