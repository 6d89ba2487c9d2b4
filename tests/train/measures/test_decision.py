"""Decision thresholds and minimum areas, against counting pixel by pixel."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import ndimage

from balanced_jax.metrics import ConfusionCounts, confusion_counts
from train.measures.breakdown import BreakdownCounts
from train.measures.components import without_small
from train.measures.decision import (
    AREAS,
    CANDIDATES,
    area_counts,
    automatic_rule,
    best_minimum_areas,
    best_thresholds,
    class_map,
    decide,
    decision_counts,
    decision_figures,
    threshold_counts,
)
from train.measures.records import DecisionFigures, DecisionRule, DefectFigures


def surfaces(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [2, 6, 7, 2] of two defect classes and labels, some of them void."""
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((2, 6, 7, 3))
    probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return probabilities[..., 1:].astype(np.float32), rng.choice([0, 1, 2, 255], (2, 6, 7)).astype(np.uint8)


def test_each_class_is_counted_against_all_others():
    probabilities, labels = surfaces()
    probabilities[0, 0, 0] = np.nan
    for image in range(2):
        counts = threshold_counts(probabilities[image], labels[image])
        assert counts.true_positives.shape == (CANDIDATES.size, 2)
        for j, threshold in enumerate(CANDIDATES):
            for k in range(2):
                said = probabilities[image, ..., k] > np.float32(threshold)
                true = labels[image] == k + 1
                void = labels[image] == 255
                assert counts.true_positives[j, k] == np.sum(said & true)
                assert counts.false_positives[j, k] == np.sum(said & ~true & ~void)
                assert counts.false_negatives[j, k] == np.sum(~said & true)


def test_the_candidates_are_odds_that_grow_by_one_factor():
    odds = CANDIDATES / (1 - CANDIDATES)
    np.testing.assert_allclose(odds[1:] / odds[:-1], np.exp(0.25), rtol=1e-9)
    assert CANDIDATES[20] == 0.5


def test_the_best_threshold_is_that_of_the_whole_set():
    hits = np.zeros((2, CANDIDATES.size, 3), int)
    wrong, missed = hits.copy(), hits.copy()
    missed[...] = 100  # the third is never found
    # One image alone would take candidate 5 for the first class, both together take 9.
    for image, j, k, result, false in [
        (0, 5, 0, 90, 10),
        (1, 5, 0, 10, 500),
        (0, 9, 0, 60, 10),
        (1, 9, 0, 60, 10),
    ]:
        hits[image, j, k], wrong[image, j, k], missed[image, j, k] = result, false, 100 - result
    hits[:, 30, 1], missed[:, 30, 1] = 1, 99
    thresholds = best_thresholds(ConfusionCounts(hits, wrong, missed))
    np.testing.assert_array_equal(thresholds, [CANDIDATES[9], CANDIDATES[30], 0.5])


@pytest.mark.parametrize("candidates", [(20, 20), (4, 31), (35, 38)])
def test_the_class_furthest_above_its_threshold_is_taken(candidates):
    probabilities, _ = surfaces(1)
    thresholds = CANDIDATES[list(candidates)]
    classes = decide(probabilities, thresholds)
    assert classes.dtype == np.uint8
    for place in np.ndindex(classes.shape):
        ratios = probabilities[place] / thresholds.astype(np.float32)
        expected = 1 + ratios.argmax() if ratios.max() > 1 else 0
        assert classes[place] == expected
    assert len(np.unique(classes)) > 1


def test_two_classes_at_one_half_are_argmax():
    share = np.linspace(0.01, 0.99, 50, dtype=np.float32).reshape(5, 10)
    probabilities = np.stack([1 - share, share], -1)
    np.testing.assert_array_equal(decide(probabilities[..., 1:], np.array([0.5])), probabilities.argmax(-1))


@pytest.mark.parametrize("threshold", [1e-300, 1e-40, 1 - 1e-16, np.nextafter(1, 0)])
def test_thresholds_at_both_ends_of_their_range(threshold):
    probabilities = np.array([[[0], [1e-3], [1]]], np.float32)
    expected = [[0, 1, 1]] if threshold < 0.5 else [[0, 0, 0]]
    assert decide(probabilities, np.array([threshold])).tolist() == expected


def test_probabilities_that_are_no_number_are_background():
    probabilities = np.full((3, 4, 2), np.nan, np.float32)
    probabilities[0, 0] = 0.9, 0.05
    classes = class_map(probabilities, DecisionRule({"a": 0.5, "b": 0.5}, {"a": 1, "b": 1}))
    assert classes[0, 0] == 1
    assert np.count_nonzero(classes) == 1


def blots(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A class map [40, 50] with components of many sizes, and labels, some of them void."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(3, (8, 10), p=[0.6, 0.2, 0.2]).repeat(5, 0).repeat(5, 1)
    predicted = np.where(rng.random(coarse.shape) < 0.05, rng.integers(0, 3, coarse.shape), coarse)
    label = np.where(rng.random(coarse.shape) < 0.2, rng.integers(0, 3, coarse.shape), coarse)
    label[:, 22:27] = 255
    return predicted.astype(np.uint8), label.astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 1])
def test_each_area_counts_as_if_the_smaller_components_were_background(seed):
    predicted, label = blots(seed)
    counts = area_counts(predicted, label, 4)
    assert len({*counts.true_positives[:, 0].tolist()}) > 3
    assert len({*counts.false_positives[:, 1].tolist()}) > 3
    for i, area in enumerate(AREAS):
        kept = without_small(predicted, [int(area)] * 3)
        for actual, expected in zip(counts, confusion_counts(kept, label, 4), strict=True):
            np.testing.assert_array_equal(actual[i], expected[1:])


def test_a_map_without_a_labeled_pixel_counts_nothing():
    predicted, _ = blots(0)
    counts = area_counts(predicted, np.full(predicted.shape, 255, np.uint8), 3)
    assert not np.any(counts)
    assert best_minimum_areas(ConfusionCounts(*(count[None] for count in counts))).tolist() == [1, 1]


def test_the_best_area_is_that_of_the_whole_set_and_the_smallest_of_equals():
    hits = np.full((2, AREAS.size, 3), 50)
    wrong, missed = np.full_like(hits, 50), np.full_like(hits, 50)
    # One image alone would keep all of the first class, both lose their false alarms below 32 pixels.
    wrong[0, 5:, 0], wrong[1, 5:, 0] = 60, 0
    hits[:, 3:5, 1] = 70  # equal at 8 and at 16
    hits[..., 2] = 0  # never found
    assert best_minimum_areas(ConfusionCounts(hits, wrong, missed)).tolist() == [32, 8, 1]


class Image(NamedTuple):
    """A labeled image with the probabilities of its defect classes."""

    probabilities: np.ndarray
    label: np.ndarray


def test_the_automatic_rule_loses_false_alarms_below_an_area():
    images = []
    for false_alarm in (2, 7):
        label = np.zeros((20, 20), np.uint8)
        probabilities = np.full((20, 20, 2), 0.001, np.float32)
        label[10:14, 10:14] = 1
        probabilities[10:14, 10:14, 0] = probabilities[0, :false_alarm, 0] = 0.3
        label[19], probabilities[19, :, 1] = 2, 0.6
        images.append(Image(probabilities, label))
    rule = automatic_rule(lambda: images, ("scratch", "pit"))
    assert list(rule.minimum_areas.items()) == [("scratch", 8), ("pit", 1)]
    assert rule.thresholds["scratch"] < 0.3
    assert rule.thresholds["pit"] < 0.6


RULE = DecisionRule({"scratch": 0.5, "pit": 0.4}, {"scratch": 4, "pit": 1})


def drawn(label: dict, predicted: dict, size=(12, 12)) -> Image:
    """An image whose boxes, by class id, are labeled, or predicted under RULE."""
    image = Image(np.zeros((*size, 2), np.float32), np.zeros(size, np.uint8))
    for k, boxes in label.items():
        for box in boxes:
            image.label[box] = k
    for k, boxes in predicted.items():
        for box in boxes:
            image.probabilities[(*box, k - 1)] = 0.6
    return image


def figures_of(*images: Image) -> DecisionFigures:
    return decision_figures((decision_counts(*image, RULE) for image in images), ("scratch", "pit"))


SQUARE, ROW, POINT = np.s_[0:3, 0:3], np.s_[6:7, 0:3], np.s_[11:12, 11:12]


def test_figures_of_a_decision_counted_by_hand():
    result = figures_of(
        drawn({1: [SQUARE]}, {1: [np.s_[2:4, 2:6]]}),  # 1 of 9 pixels found, 7 false ones, in one component
        drawn({1: [SQUARE], 2: [ROW]}, {1: [ROW]}),  # below the area: a wrong pass
        drawn({}, {2: [POINT]}),  # wrongly scrapped
        drawn({}, {1: [POINT]}),  # below the area
        drawn({255: [np.s_[:, :]]}, {1: [SQUARE]}),  # void alone
    )
    assert result == DecisionFigures(
        headline=1 / 50,
        classes={
            "scratch": DefectFigures(1 / 25, 1 / 8, 1 / 18, 1, 1, 0),
            "pit": DefectFigures(0.0, 0.0, 0.0, 0, 1, 1),
        },
        defective=2,
        wrongly_passed=1,
        clean=2,
        wrongly_scrapped=1,
    )


def test_a_defect_found_as_another_is_scrapped_and_missed():
    result = figures_of(drawn({1: [SQUARE]}, {2: [SQUARE]}))
    assert (result.defective, result.wrongly_passed) == (1, 0)
    assert vars(result.classes["scratch"]) | {"missed": 1} == vars(result.classes["scratch"])
    assert result.classes["pit"].false_alarms == 1


def test_a_class_that_never_occurs_and_images_of_void_have_no_figures():
    void = drawn({255: [np.s_[:, :]]}, {1: [SQUARE]})
    for result in (figures_of(void), figures_of(drawn({}, {}))):
        assert result.headline is None
        assert set(result.classes.values()) == {DefectFigures(None, None, None, 0, 0, 0)}
    assert (figures_of(void).defective, figures_of(void).clean) == (0, 0)
    assert figures_of(drawn({}, {})).clean == 1


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_the_class_map(seed):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(4, 40, 50, 2)), (0, 2, 2, 0))
    probabilities = (1 / (1 + np.exp(-20 * noise))).astype(np.float32)
    labels = np.where(noise.max(-1) > 0.05, noise.argmax(-1) + 1, 0).astype(np.uint8)
    labels[:, 30:, 40:] = 255
    result = figures_of(*map(Image, probabilities, labels))
    maps = np.stack([class_map(each, RULE) for each in probabilities])
    breakdown = BreakdownCounts(3)
    for predicted, label in zip(maps, labels, strict=True):
        breakdown.add(predicted, label, np.zeros(label.shape, bool))
    expected = breakdown.breakdown(tuple("abcd"), ("background", "scratch", "pit"))
    assert result.headline == expected.headline
    for name, row in result.classes.items():
        components = expected.components[name].values()
        assert row.found == sum(each.touched for each in components) > 0
        assert row.missed == sum(each.labeled for each in components) - row.found
        assert row.false_alarms == sum(each.false_alarms for each in components)
        of_class = expected.classes[name]
        assert (row.iou, row.precision, row.recall) == (
            of_class.iou.dataset,
            of_class.precision,
            of_class.recall,
        )
