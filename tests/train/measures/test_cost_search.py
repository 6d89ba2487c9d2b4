"""The choice by costs, against trying all candidates."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import ndimage

from train.measures.cost_search import _levels, least_cost_rule
from train.measures.decision import AREAS, CANDIDATES, automatic_rule, decision_counts, decision_figures
from train.measures.records import Costs, DecisionRule


class Image(NamedTuple):
    """A labeled image with the probabilities of its defect classes."""

    probabilities: np.ndarray
    label: np.ndarray


def surfaces(defects: int, seed: int = 0) -> list[Image]:
    """Images of noise, every other one with a defect that is found more or less."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(10):
        scores = 10 * ndimage.gaussian_filter(rng.normal(size=(24, 32, defects)), (1, 1, 0)) - 5
        label = np.zeros((24, 32), np.uint8)
        if number % 2:
            k, (top, left) = rng.integers(defects), rng.integers(0, 16, 2)
            label[top : top + 6, left : left + 9] = k + 1
            scores[top : top + 6, left : left + 9, k] += rng.normal(4, 2)
        odds = np.exp(scores)
        images.append(Image((odds / (1 + odds.sum(-1, keepdims=True))).astype(np.float32), label))
    images.append(Image(images[0].probabilities, np.full((24, 32), 255, np.uint8)))
    return images


def total(images: list[Image], rule: DecisionRule, costs: Costs) -> float:
    figures = decision_figures((decision_counts(*image, rule) for image in images), tuple(rule.thresholds))
    return costs.miss * figures.wrongly_passed + costs.false_alarm * figures.wrongly_scrapped


@pytest.mark.parametrize("seed", range(3))
def test_levels_are_those_of_every_candidate(seed):
    probabilities = surfaces(2, seed)[1].probabilities
    levels = _levels(probabilities)
    for j, candidate in enumerate(CANDIDATES):
        for k in range(2):
            labeled: Any = ndimage.label(probabilities[..., k] > np.float32(candidate), np.ones((3, 3)))
            numbers, count = labeled
            largest = max((np.sum(numbers == number) for number in range(1, count + 1)), default=0)
            assert levels[j, k] == sum(int(area) <= largest for area in AREAS)
    assert len(np.unique(levels)) > 4


@pytest.mark.parametrize("costs", [Costs(1, 1), Costs(30, 1), Costs(1, 30)])
def test_of_one_class_no_candidate_costs_less(costs):
    images = surfaces(1)
    rule = least_cost_rule(images, ("pit",), costs)
    lowest = min(
        total(images, DecisionRule({"pit": threshold}, {"pit": area}), costs)
        for threshold in CANDIDATES.tolist()
        for area in AREAS[:8].tolist()
    )
    assert total(images, rule, costs) == lowest
    assert rule == least_cost_rule(images, ("pit",), costs)


@pytest.mark.parametrize("seed", range(3))
def test_of_several_classes_the_automatic_rule_never_costs_less(seed):
    images, names = surfaces(3, seed), ("a", "b", "c")
    automatic = automatic_rule(lambda: images, names)
    for costs in (Costs(1, 30), Costs(30, 1)):
        rule = least_cost_rule(images, names, costs)
        assert total(images, rule, costs) <= total(images, automatic, costs)
        # Never worse than to pass, or to scrap, every image.
        assert total(images, rule, costs) <= costs.miss * 5
        assert list(rule.thresholds) == list(rule.minimum_areas) == list(names)


def test_a_rule_that_costs_nothing_stays_the_automatic_one():
    label = np.zeros((20, 20), np.uint8)
    label[5:9, 5:9] = 1
    images = [
        Image(np.where(each == 1, 0.8, 0.01).astype(np.float32)[..., None], each)
        for each in (label, 0 * label)
    ]
    assert least_cost_rule(images, ("pit",), Costs(1, 1)) == automatic_rule(lambda: images, ("pit",))


@pytest.mark.parametrize(("miss", "false_alarm"), [(0, 1), (1, -1), (float("inf"), 1), (1, float("nan"))])
def test_costs_are_above_0(miss, false_alarm):
    with pytest.raises(ValueError, match=r"costs\.(miss|false_alarm): is .*, takes a number above 0"):
        Costs(miss, false_alarm)
