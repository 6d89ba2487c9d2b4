"""The choice of thresholds and minimum areas by what wrong decisions over whole images cost."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from train.measures.components import EIGHT_NEIGHBORS, find_components, nonzero_box
from train.measures.decision import (
    AREAS,
    CANDIDATES,
    Decidable,
    area_counts,
    automatic_rule,
    dataset_ious,
    decide,
    decision_counts,
    decision_figures,
    threshold_counts,
)
from train.measures.figures import stack
from train.measures.records import Costs, DecisionRule

_SWEEPS = 10
"""Largest number of passes over the classes."""


def least_cost_rule(images: Sequence[Decidable], defects: Sequence[str], costs: Costs) -> DecisionRule:
    """Return a rule with the lowest total cost of wrongly passed and wrongly scrapped images that is found.

    A coordinate search over all candidates, from the automatic rule and from the largest thresholds and
    areas; the lower total is taken. The threshold and minimum area of a class are chosen together, as if the
    class were predicted wherever its probability exceeds the threshold; among equal totals by the data-set
    IoU of the class, then the smallest area. Under these thresholds the minimum areas are chosen once more,
    among equal totals by the data-set IoU.

    Of one class the total is the lowest of all candidates. The automatic rule itself is returned unless
    another has a lower total.

    Args:
        images: of the validation part.
        defects: names of the defect classes.
        costs: of one image.
    """
    num_classes = 1 + len(defects)
    automatic = automatic_rule(lambda: images, defects)
    defective = np.array([bool(np.any((x.label > 0) & (x.label < num_classes))) for x in images])
    clean = np.array([bool(np.any(x.label == 0)) for x in images]) & ~defective

    def total(scrapped: np.ndarray) -> np.ndarray:
        """Return the total cost [...] of which images are scrapped, bool [images, ...]."""
        passed = np.count_nonzero(defective) - scrapped[defective].sum(0)
        return costs.total(passed, scrapped[clean].sum(0))

    ious = dataset_ious(stack([threshold_counts(x.probabilities, x.label) for x in images]))
    levels = np.stack([_levels(x.probabilities) for x in images])
    starts = (
        (
            np.searchsorted(CANDIDATES, list(automatic.thresholds.values())),
            np.searchsorted(AREAS, list(automatic.minimum_areas.values())),
        ),
        (np.full(len(defects), len(CANDIDATES) - 1), np.full(len(defects), len(AREAS) - 1)),
    )
    chosen, areas, _ = min(
        (_search(levels, ious[:, None], total, *start) for start in starts), key=lambda found: found[-1]
    )

    thresholds = CANDIDATES[chosen]
    maps = [(decide(x.probabilities, thresholds), x.label) for x in images]
    ious = dataset_ious(stack([area_counts(*pair, num_classes) for pair in maps]))
    levels = np.stack([_largest(decided, num_classes) for decided, _ in maps])[:, None]
    _, areas, _ = _search(levels, ious[None], total, np.zeros_like(chosen), areas)

    found = DecisionRule(
        dict(zip(defects, thresholds.tolist(), strict=True)),
        dict(zip(defects, AREAS[areas].tolist(), strict=True)),
    )

    def total_of(rule: DecisionRule) -> float:
        counts = (decision_counts(x.probabilities, x.label, rule) for x in images)
        figures = decision_figures(counts, defects)
        return costs.total(figures.wrongly_passed, figures.wrongly_scrapped)

    return min(automatic, found, key=total_of)


def _search(
    levels: np.ndarray,
    ious: np.ndarray,
    total: Callable[[np.ndarray], np.ndarray],
    thresholds: np.ndarray,
    areas: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return thresholds and areas, [defects] each, that no change of one class improves, and their total.

    Args:
        levels: how many candidate areas keep a component, [images, thresholds, defects].
        ious: decide among equal totals, [thresholds, areas, defects] or broadcast to that.
        total: of which images are scrapped.
        thresholds, areas: indices of candidates to begin with, [defects].
    """
    thresholds, areas, defects = thresholds.copy(), areas.copy(), np.arange(len(areas))
    for _ in range(_SWEEPS):
        before = [*thresholds, *areas]
        for k in defects:
            remains = np.greater(levels[:, thresholds, defects], areas)
            others = np.any(np.delete(remains, k, axis=-1), axis=-1)[:, None, None]
            totals = total(others | (levels[..., k, None] > np.arange(len(AREAS))))
            best = np.where(totals == totals.min(), ious[..., k], -1).argmax()
            thresholds[k], areas[k] = np.unravel_index(best, totals.shape)
        if [*thresholds, *areas] == before:
            break
    return thresholds, areas, float(total(np.any(levels[:, thresholds, defects] > areas, axis=-1)))


def _largest(decided: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how many candidate areas keep a component of each defect class of a class map, [defects]."""
    components = find_components(decided, range(1, num_classes))
    largest = np.zeros(num_classes - 1, int)
    np.maximum.at(largest, components.labels - 1, components.areas)
    return np.searchsorted(AREAS, largest, side="right")


def _levels(probabilities: np.ndarray) -> np.ndarray:
    """Return how many candidate areas keep a component where the probability of a class exceeds a candidate.

    Args:
        probabilities: of each defect class, float32 [h, w, defects].

    Returns:
        int64 [candidates, defects].
    """
    maps = np.moveaxis(probabilities, -1, 0)
    return np.stack([_levels_of_class(probability) for probability in maps], axis=-1)


def _levels_of_class(probability: np.ndarray) -> np.ndarray:
    """Return the levels [candidates] of one class, probability float32 [h, w].

    A component of a higher threshold lies inside one of a lower threshold. So where both ends of a range of
    candidates have one level, all between have it, and inside a range only the components that exceed its
    upper end need be looked at.
    """
    candidates = CANDIDATES.astype(np.float32)
    probability = probability[nonzero_box(probability > candidates[0])]
    exceeded = np.searchsorted(candidates, np.nan_to_num(probability)).astype(np.uint8)
    levels = np.zeros(len(CANDIDATES), int)

    def fill(low: int, high: int, end: int, exceeded: np.ndarray) -> None:
        """Fill the levels of candidates from low to below high, where that of high is `end`."""
        numbered: Any = ndimage.label(exceeded > low, EIGHT_NEIGHBORS)
        numbers = numbered[0]
        own = np.searchsorted(AREAS, np.bincount(numbers.ravel())[1:], side="right")
        levels[low:high] = own.max(initial=end)
        if levels[low] == end or high - low == 1:
            return
        exceeded = np.where(np.concatenate([[False], own > end])[numbers], exceeded, 0)
        exceeded, middle = exceeded[nonzero_box(exceeded)], (low + 1 + high) // 2
        if middle < high:
            fill(middle, high, end, exceeded)
            end = int(levels[middle])
        if low + 1 < middle:
            fill(low + 1, middle, end, exceeded)

    fill(0, len(CANDIDATES), 0, exceeded)
    return levels
