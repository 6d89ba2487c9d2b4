"""Breakdown of a decision: drawn maps counted by hand, noise against the library and slow loops."""

from typing import Any

import numpy as np
import pytest

from balanced_jax.masks import boundary_mask
from balanced_jax.metrics import ConfusionCounts, confusion_counts
from train.measures.breakdown import BreakdownCounts, confusion_matrices
from train.measures.components import without_small
from train.measures.decision import area_counts
from train.measures.figures import figures
from train.measures.records import BoundaryFigures, Breakdown, ComponentCounts

approx: Any = pytest.approx  # accepted where a record holds a number
CLASSES = ("background", "crack", "pit")


def noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    predicted, label = rng.integers(0, 3, (2, 30, 40)).astype(np.uint8)
    label[:4] = 255
    return predicted, label


def broken_down(*maps: tuple[np.ndarray, np.ndarray]) -> Breakdown:
    counts = BreakdownCounts(len(CLASSES))
    for predicted, label in maps:
        counts.add(predicted, label, np.asarray(boundary_mask(label, len(CLASSES))))
    return counts.breakdown(["item"] * len(maps), CLASSES)


def test_pixels_are_counted_by_label_and_by_prediction():
    predicted, label = noise(0)
    boundary = np.random.default_rng(1).integers(0, 2, label.shape)
    result = confusion_matrices(predicted, label, boundary, 3)
    assert result.dtype == np.int64
    for zone in range(2):
        for row in range(3):
            for column in range(3):
                entry = (boundary == zone) & (label == row) & (predicted == column)
                assert result[zone, row, column] == entry.sum()


def test_counts_are_those_of_the_library():
    predicted, label = noise(0)
    counts = BreakdownCounts(3)
    counts.add(predicted, label, np.zeros_like(label))
    for count, expected in zip(counts.counts[0], confusion_counts(predicted, label, 3), strict=True):
        np.testing.assert_array_equal(count, expected)


def test_the_summary_of_images_has_their_figures_and_the_sum_of_their_matrices():
    maps = [noise(seed) for seed in range(3)]
    result = broken_down(*maps)
    counts = [confusion_counts(*image, 3) for image in maps]
    expected = figures(ConfusionCounts(*(np.stack(count) for count in zip(*counts, strict=True))), CLASSES)
    assert {name: getattr(result, name) for name in vars(expected)} == vars(expected)
    assert np.sum(result.confusion) == 3 * 26 * 40
    assert result.confusion[1][2] == sum(((label == 1) & (said == 2)).sum() for said, label in maps)


def test_boundaries_and_insides_are_counted_apart():
    label = np.zeros((10, 10), np.uint8)
    label[2:7, 2:7] = 1  # 16 pixels on the boundary, 9 inside
    predicted = np.zeros_like(label)
    predicted[3:6, 3:6] = 1  # all of the inside
    predicted[2, 2] = 1
    predicted[2, 1] = predicted[1, 2] = predicted[9, 9] = 1  # false: two at the boundary, one far away
    crack = broken_down((predicted, label)).boundary["crack"]
    assert crack == BoundaryFigures(16 / 25, 1 / 16, 1.0, approx(2 / 3))


def test_an_absent_class_has_no_boundary_figures():
    clean = np.zeros((4, 4), np.uint8)
    result = broken_down((clean, clean))
    assert result.boundary["pit"] == BoundaryFigures(None, None, None, None)
    assert result.boundary["background"] == BoundaryFigures(0, None, 1, None)
    for ranges in result.components.values():
        assert set(ranges.values()) == {ComponentCounts(0, 0, 0, 0)}


def test_components_are_counted_by_size_and_by_how_they_were_met():
    label = np.zeros((60, 60), np.uint8)
    predicted = np.zeros_like(label)
    label[0, :15] = 1  # 15 pixels: missed
    label[3, :16] = 1  # 16: half of it found
    predicted[3, :8] = 1
    label[6:10, :16] = 1  # 64: less than half
    predicted[6:10, :7] = 1
    label[12:28, :16] = 1  # 256: all, but of the other class
    predicted[12:28, :16] = 2
    label[28:, 18:50] = 1  # 1024: all
    predicted[28:, 18:50] = 1
    predicted[0, 58] = 1  # a false alarm of 1 pixel
    label[20:, 55:] = 255
    predicted[20:, 55:] = 1  # in the void: nothing is known of it
    result = broken_down((predicted, label)).components
    rows = {area: tuple(vars(row).values()) for area, row in result["crack"].items()}
    assert rows == {
        "1-15": (1, 0, 0, 1),
        "16-63": (1, 1, 1, 0),
        "64-255": (1, 1, 0, 0),
        "256-1023": (1, 0, 0, 0),
        "1024+": (1, 1, 1, 0),
    }
    assert {area: row for area, row in result["pit"].items() if row != ComponentCounts(0, 0, 0, 0)} == {
        "256-1023": ComponentCounts(0, 0, 0, 1)
    }


def test_a_prediction_that_reaches_out_of_the_void_is_judged_by_its_labeled_pixels():
    label = np.full((4, 8), 255, np.uint8)
    label[:, 4] = 0
    predicted = np.zeros_like(label)
    predicted[1, :5] = 1
    result = broken_down((predicted, label)).components["crack"]
    assert result["1-15"].false_alarms == 1
    label[1, 4] = 1
    result = broken_down((predicted, label)).components["crack"]["1-15"]
    assert result == ComponentCounts(labeled=1, touched=1, half=1, false_alarms=0)


def test_an_image_of_one_pixel_and_one_of_void_alone_are_counted():
    one = np.ones((1, 1), np.uint8)
    result = broken_down((one, one), (one, 255 * one))
    assert result.confusion == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert result.headline == 1
    assert result.components["crack"]["1-15"] == ComponentCounts(labeled=1, touched=1, half=1, false_alarms=0)


def test_a_million_components_are_counted_in_one_pass():
    label = np.zeros((2000, 2000), np.uint8)
    label[::2, ::2] = 1
    predicted = np.roll(label, 1, axis=1)
    predicted[::2, ::4] = 1  # half of them found, joined with the pixels on both sides
    result = broken_down((predicted, label)).components["crack"]["1-15"]
    assert result == ComponentCounts(labeled=10**6, touched=500_000, half=500_000, false_alarms=1000)
    counts = area_counts(predicted, label, 3)
    assert counts.true_positives[:, 0].tolist() == [500_000] * 2 + [0] * (len(counts.true_positives) - 2)
    assert not without_small(label, (2, 1)).any()
