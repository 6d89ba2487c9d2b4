"""Evaluation: which images are worth a look, and which show a defect."""

import math
from pathlib import Path

import numpy as np
import pytest

from train.commands.evaluate import SHOWN, chosen_areas, image_level, worst_and_best
from train.data.prepare import Part
from train.inference.viewers import ClassifiedImage

CLASSES = ("background", "crack", "pit")


def test_the_worst_come_first_and_clean_ones_found_clean_never():
    ious = [0.3, math.nan, 0.0, *(0.4 + i / 50 for i in range(20)), 1.0, math.nan]
    figures = sorted(iou for iou in ious if not math.isnan(iou))
    shown = worst_and_best(ious)
    assert [ious[i] for i in shown["Worst"]] == figures[:SHOWN]
    assert [ious[i] for i in shown["Best"]] == figures[: -SHOWN - 1 : -1]


def test_no_image_is_shown_twice():
    shown = worst_and_best([0.5] * (SHOWN + 2))
    assert sorted(shown["Worst"] + shown["Best"]) == list(range(SHOWN + 2))


def part(present: list[tuple[int, ...]], groups: str) -> Part:
    return Part(Path(), "test", 1, ((8, 8),) * len(present), tuple(present), tuple(groups))


def test_images_are_ranked_by_class_and_by_any_defect():
    scores = np.array([[9, 9, 0], [8, 1, 8], [7, 3, 3], [1, 0, 1], [0, 2, 2]])
    found = image_level(scores, part([(0, 1), (2,), (0,), (0, 1, 2), (0,)], "abcde"), CLASSES)
    assert found["images"] == 5
    assert found["any"]["positive"] == 3
    assert found["any"]["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    crack, pit = found["classes"]["crack"], found["classes"]["pit"]
    assert crack["positive"] == pit["positive"] == 2
    assert crack["average_precision"] == pytest.approx((1 + 2 / 5) / 2)
    assert pit["average_precision"] == pytest.approx((1 + 2 / 4) / 2)
    for row in (found["any"], crack, pit):
        low, high = row["interval"]
        assert 0 < low < row["average_precision"] < high <= 1
    assert found["any"]["interval"][0] > crack["interval"][0]


def test_a_class_that_one_group_shows_has_no_interval():
    scores = np.array([[9, 9, 0], [8, 1, 8], [7, 3, 9]])
    found = image_level(scores, part([(0, 1), (0, 2), (0, 2)], "aab"), CLASSES)
    assert found["classes"]["crack"]["interval"] is None
    assert found["classes"]["pit"]["interval"] == (1, 1)


def test_an_image_of_void_alone_is_neither_positive_nor_negative():
    scores = np.array([[2.0, 2, 0], [-np.inf, -np.inf, -np.inf], [1, 1, 0]])
    found = image_level(scores, part([(0,), (), (0, 1)], "abc"), CLASSES)
    assert found["images"] == 2
    assert found["any"] == {"positive": 1, "average_precision": 0.5, "interval": None}


@pytest.mark.parametrize("present", [[(0,), (0,)], [(), ()]])
def test_without_a_defect_there_is_no_average_precision(present):
    found = image_level(np.zeros((2, 3)), part(present, "ab"), CLASSES)
    nothing = {"positive": 0, "average_precision": None, "interval": None}
    assert found["any"] == nothing
    assert found["classes"] == {"crack": nothing, "pit": nothing}


def test_minimum_areas_are_chosen_by_all_images_under_thresholds():
    images = []
    for false_alarm in (2, 7):
        label, decided = np.zeros((2, 20, 20), np.uint8)
        label[10:14, 10:14] = decided[10:14, 10:14] = 1
        decided[0, :false_alarm] = 1
        label[19], decided[19] = 2, 2
        images.append(ClassifiedImage(label, 0 * label, decided, 0 * label, np.zeros(3)))
    assert chosen_areas(images, 3) == [8, 1]
