"""Evaluation: which images the report shows, and the choice of minimum areas."""

import math

import numpy as np

from train.commands.evaluate import _PICTURES, _best_areas, worst_and_best
from train.inference.viewers import ClassifiedImage


def test_the_worst_come_first_and_clean_ones_found_clean_never():
    ious = [0.3, math.nan, 0.0, *(0.4 + i / 50 for i in range(20)), 1.0, math.nan]
    figures = sorted(iou for iou in ious if not math.isnan(iou))
    shown = worst_and_best(ious)
    assert [ious[i] for i in shown["Worst"]] == figures[:_PICTURES]
    assert [ious[i] for i in shown["Best"]] == figures[: -_PICTURES - 1 : -1]


def test_no_image_is_shown_twice():
    shown = worst_and_best([0.5] * (_PICTURES + 2))
    assert sorted(shown["Worst"] + shown["Best"]) == list(range(_PICTURES + 2))


def test_minimum_areas_are_chosen_by_all_images_under_thresholds():
    images = []
    for false_alarm in (2, 7):
        label, decided = np.zeros((2, 20, 20), np.uint8)
        label[10:14, 10:14] = decided[10:14, 10:14] = 1
        decided[0, :false_alarm] = 1
        label[19], decided[19] = 2, 2
        images.append(ClassifiedImage(label, 0 * label, decided, 0 * label, np.zeros(3)))
    assert _best_areas(images, 3) == [8, 1]
