"""Evaluation: which images are worth a look."""

import math

from train.evaluate import SHOWN, worst_and_best


def test_the_worst_come_first_and_clean_ones_found_clean_never():
    ious = [0.3, math.nan, 0.0, *(0.4 + i / 50 for i in range(20)), 1.0, math.nan]
    figures = sorted(iou for iou in ious if not math.isnan(iou))
    shown = worst_and_best(ious)
    assert [ious[i] for i in shown["Worst"]] == figures[:SHOWN]
    assert [ious[i] for i in shown["Best"]] == figures[: -SHOWN - 1 : -1]


def test_no_image_is_shown_twice():
    shown = worst_and_best([0.5] * (SHOWN + 2))
    assert sorted(shown["Worst"] + shown["Best"]) == list(range(SHOWN + 2))
