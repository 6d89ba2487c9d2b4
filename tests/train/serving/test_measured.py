"""The counts of an image under one rule after another: those of the plain functions, whatever came before."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from train.measures.decision import class_map, decision_counts
from train.measures.records import DecisionRule
from train.serving.measured import LabeledImage
from train.serving.parts import measure_all

EIGHT = np.ones((3, 3))


def rule(thresholds, areas):
    names = [f"d{k}" for k in range(len(thresholds))]
    return DecisionRule(dict(zip(names, thresholds, strict=True)), dict(zip(names, areas, strict=True)))


def noise(rng, shape, sigma):
    smooth = ndimage.gaussian_filter(rng.random(shape), sigma)
    return ((smooth - smooth.min()) / max(np.ptp(smooth), 1e-9)).astype(np.float32)


def made(seed, *, defects, shape=(40, 33), void=False, sigma=1.0):
    rng = np.random.default_rng(seed)
    probabilities = np.stack([noise(rng, shape, sigma) for _ in range(defects)], -1)
    label = np.where(noise(rng, shape, 2) > 0.6, rng.integers(1, defects + 1, shape), 0).astype(np.uint8)
    label[5:15, 5:15] = 1
    if void:
        label[noise(rng, shape, 2) > 0.6] = 255
    return probabilities, label


@pytest.mark.parametrize("void", [False, True])
def test_walks_hold_as_many_images_as_the_figures_say(void):
    images = [LabeledImage(*made(seed, defects=2, shape=(12, 9), void=void)) for seed in range(30)]
    for k in range(10):
        images.append(LabeledImage(images[k].probabilities, np.zeros((12, 9), np.uint8)))
        half = np.zeros((12, 9), np.uint8)
        half[:6] = 255
        images.append(LabeledImage(images[k].probabilities, half))
    images.append(LabeledImage(images[0].probabilities, np.full((12, 9), 255, np.uint8)))
    for threshold in (0.5, 0.8, 0.9, 0.97):
        measured = measure_all(images, rule([threshold, threshold], [2, 3]), ["d0", "d1"])
        assert len(measured.walks.passed) == measured.figures.wrongly_passed
        assert len(measured.walks.scrapped) == measured.figures.wrongly_scrapped


def assert_equal(counts, expected):
    for name, value in expected._asdict().items():
        np.testing.assert_array_equal(np.array(getattr(counts, name)), np.array(value), err_msg=name)


@pytest.mark.parametrize("defects", [1, 3])
@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_any_sequence_of_rules_gives_the_plain_counts(defects, void, sigma):
    rng = np.random.default_rng(7)
    for seed in range(4):
        probabilities, label = made(seed, defects=defects, void=void, sigma=sigma)
        image = LabeledImage(probabilities, label)
        np.testing.assert_array_equal(image.probabilities, probabilities)
        thresholds, areas = [0.5] * defects, [1] * defects
        for _ in range(12):
            k = rng.integers(defects)
            if rng.random() < 0.6:
                thresholds[k] = rng.choice([0.01, 0.3, 0.5, 0.55, 0.9, 0.999])
            else:
                areas[k] = int(rng.choice([1, 2, 9, 60, 4096]))
            current = rule(thresholds, areas)
            measured = image.measure(current)
            expected = decision_counts(probabilities, label, current)
            assert_equal(measured.counts, expected)
            every = decision_counts(probabilities, label, rule(thresholds, [1] * defects))
            assert measured.too_small == (expected.missed - every.missed).tolist()


@pytest.mark.parametrize("label", [0, 1, 255])
@pytest.mark.parametrize("probability", [0.0, 1.0, np.nan])
def test_images_of_one_kind_give_the_plain_counts(label, probability):
    probabilities = np.full((6, 5, 2), probability, np.float32)
    labels = np.full((6, 5), label, np.uint8)
    current = rule([0.4, 0.6], [1, 1])
    measured = LabeledImage(probabilities, labels).measure(current)
    assert_equal(measured.counts, decision_counts(probabilities, labels, current))


def test_the_most_certain_miss_and_false_alarm_are_those_of_a_search():
    for seed in range(6):
        probabilities, label = made(seed, defects=2)
        current = rule([0.7, 0.8], [3, 6])
        predicted = class_map(probabilities, current)
        missed, alarms = [], []
        for k in (1, 2):
            plane = probabilities[..., k - 1]
            for where, other, kept in (
                (label == k, predicted == k, missed),
                (predicted == k, label == k, alarms),
            ):
                labeled: Any = ndimage.label(where, EIGHT)
                numbers, count = labeled
                for number in range(1, count + 1):
                    if not other[numbers == number].any():
                        kept.append(plane[numbers == number].max())
        measured = LabeledImage(probabilities, label).measure(current)
        assert measured.missed == min(missed, default=None)
        assert measured.false_alarm == max(alarms, default=None)


def test_walks_begin_with_the_worst_the_surest_miss_and_the_surest_false_alarm():
    empty = np.zeros((8, 8), np.uint8)
    defect = empty.copy()
    defect[2:5, 2:5] = 1

    def image(label, *spots):
        probabilities = np.zeros((8, 8, 1), np.float32)
        for row, column, value in spots:
            probabilities[row, column] = value
        return LabeledImage(probabilities, label)

    images = [
        image(empty),
        image(empty, (0, 0, 0.6)),
        image(defect, (3, 3, 0.3)),
        image(defect, (3, 3, 0.9), (7, 7, 0.95)),
        image(defect, (3, 3, 0.1), (7, 7, 0.7)),
        image(defect, (2, 2, 0.9), (3, 3, 0.9)),
    ]
    walks = measure_all(images, rule([0.5], [1]), ["d0"]).walks
    assert walks.worst == [1, 2, 4, 3, 5, 0]  # an image with neither a label nor a prediction has no IoU
    assert walks.missed == [4, 2]
    assert walks.false_alarms == [3, 4, 1]
    assert walks.passed == [2]  # in 4 something remains, if at the wrong place
    assert walks.scrapped == [1]
