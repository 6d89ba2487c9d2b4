"""Evaluation: which images the report shows."""

import math

from train.commands.evaluate import _PICTURES, worst_and_best


def test_the_worst_come_first_and_clean_ones_found_clean_never():
    ious = [0.3, math.nan, 0.0, *(0.4 + i / 50 for i in range(20)), 1.0, math.nan]
    figures = sorted(iou for iou in ious if not math.isnan(iou))
    shown = worst_and_best(ious)
    assert [ious[i] for i in shown["Worst"]] == figures[:_PICTURES]
    assert [ious[i] for i in shown["Best"]] == figures[: -_PICTURES - 1 : -1]


def test_no_image_is_shown_twice():
    shown = worst_and_best([0.5] * (_PICTURES + 2))
    assert sorted(shown["Worst"] + shown["Best"]) == list(range(_PICTURES + 2))
