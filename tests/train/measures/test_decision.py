"""Decision thresholds and minimum areas, against counting pixel by pixel."""

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts, confusion_counts
from train.measures.components import without_small
from train.measures.decision import (
    _AREAS,
    CANDIDATES,
    area_counts,
    best_minimum_areas,
    best_thresholds,
    decide,
    one_against_all,
)


def surfaces(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [2, 6, 7, 3] of three classes and labels, some of them void."""
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((2, 6, 7, 3))
    probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return probabilities.astype(np.float32), rng.choice([0, 1, 2, 255], (2, 6, 7)).astype(np.int32)


def test_each_class_is_counted_against_all_others():
    probabilities, labels = surfaces()
    counts = one_against_all(probabilities, labels)
    assert counts.true_positives.shape == (2, CANDIDATES.size, 3)
    for image in range(2):
        for j, threshold in enumerate(CANDIDATES):
            for k in range(3):
                said = probabilities[image, ..., k] > np.float32(threshold)
                true = labels[image] == k
                void = labels[image] == 255
                assert counts.true_positives[image, j, k] == np.sum(said & true)
                assert counts.false_positives[image, j, k] == np.sum(said & ~true & ~void)
                assert counts.false_negatives[image, j, k] == np.sum(~said & true)


def test_the_candidates_are_odds_that_grow_by_one_factor():
    odds = CANDIDATES / (1 - CANDIDATES)
    np.testing.assert_allclose(odds[1:] / odds[:-1], np.exp(0.25), rtol=1e-9)
    assert CANDIDATES[20] == 0.5


def test_the_best_threshold_is_that_of_the_whole_set():
    hits = np.zeros((2, CANDIDATES.size, 4), int)
    wrong, missed = hits.copy(), hits.copy()
    missed[...] = 100  # class 3 is never found
    # One image alone would take candidate 5 for class 1, both together take 9.
    for image, j, k, result, false in [
        (0, 5, 1, 90, 10),
        (1, 5, 1, 10, 500),
        (0, 9, 1, 60, 10),
        (1, 9, 1, 60, 10),
    ]:
        hits[image, j, k], wrong[image, j, k], missed[image, j, k] = result, false, 100 - result
    hits[:, 30, 2], missed[:, 30, 2] = 1, 99
    missed[..., 0] = 0  # the background has no threshold
    thresholds = best_thresholds(ConfusionCounts(hits, wrong, missed))
    np.testing.assert_array_equal(thresholds, [CANDIDATES[9], CANDIDATES[30], 0.5])


@pytest.mark.parametrize("candidates", [(20, 20), (4, 31), (35, 38)])
def test_the_class_furthest_above_its_threshold_is_taken(candidates):
    probabilities, _ = surfaces(1)
    thresholds = CANDIDATES[list(candidates)]
    classes = np.asarray(decide(probabilities, thresholds))
    for place in np.ndindex(classes.shape):
        ratios = probabilities[place][1:] / thresholds.astype(np.float32)
        expected = 1 + ratios.argmax() if ratios.max() > 1 else 0
        assert classes[place] == expected
    assert len(np.unique(classes)) > 1


def test_two_classes_at_one_half_are_argmax():
    share = np.linspace(0.01, 0.99, 50, dtype=np.float32).reshape(5, 10)
    probabilities = np.stack([1 - share, share], -1)
    np.testing.assert_array_equal(decide(probabilities, np.array([0.5])), probabilities.argmax(-1))


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
    assert len({*counts.true_positives[:, 1].tolist()}) > 3
    assert len({*counts.false_positives[:, 2].tolist()}) > 3
    for i, area in enumerate(_AREAS):
        kept = without_small(predicted, [int(area)] * 3)
        for actual, expected in zip(counts, confusion_counts(kept, label, 4), strict=True):
            np.testing.assert_array_equal(actual[i, 1:], expected[1:])


def test_a_map_without_a_labeled_pixel_counts_nothing():
    predicted, _ = blots(0)
    counts = area_counts(predicted, np.full(predicted.shape, 255, np.uint8), 3)
    assert not np.any(counts)
    assert best_minimum_areas(ConfusionCounts(*(count[None] for count in counts))).tolist() == [1, 1]


def test_the_best_area_is_that_of_the_whole_set_and_the_smallest_of_equals():
    hits = np.full((2, _AREAS.size, 4), 50)
    wrong, missed = np.full_like(hits, 50), np.full_like(hits, 50)
    # One image alone would keep all of class 1, both together lose their false alarms below 32 pixels.
    wrong[0, 5:, 1], wrong[1, 5:, 1] = 60, 0
    hits[:, 3:5, 2] = 70  # equal at 8 and at 16
    hits[..., 3] = 0  # never found
    assert best_minimum_areas(ConfusionCounts(hits, wrong, missed)).tolist() == [32, 8, 1]
