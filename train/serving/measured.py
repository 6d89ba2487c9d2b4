"""One labeled image under one decision rule after another, faster than counted anew each time.

The counts are those of `train.measures.decision.decision_counts`. What depends on the label alone is counted
once; components are looked for again only in classes whose pixels the thresholds have changed; a minimum area
selects among components that are known.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from balanced_jax.metrics import ConfusionCounts
from train.measures.components import EIGHT_NEIGHBORS, find_components, nonzero_box
from train.measures.decision import DecisionCounts, decide
from train.measures.records import DecisionRule


class Measured(NamedTuple):
    """What a rule makes of one image."""

    counts: DecisionCounts
    missed: float | None
    """Lowest of the highest probabilities of the labeled components that are missed; None if none is."""
    false_alarm: float | None
    """Highest probability of a false alarm; None without any."""
    too_small: list[int]
    """Missed components of each class that would be found without the minimum area."""


class _Labeled(NamedTuple):
    """The labeled components of one class in an image."""

    pixels: np.ndarray
    """Indices of all their pixels in the flattened image."""
    numbers: np.ndarray
    """Index of the component of each of these pixels."""
    highest: np.ndarray
    """Highest probability of the class in each component."""


class _Predicted(NamedTuple):
    """The predicted components of one class in an image, before the minimum area."""

    areas: np.ndarray
    """Pixels of each component."""
    valid: np.ndarray
    """Those of them that are not void."""
    hits: np.ndarray
    """Those of them that are labeled as the class."""
    highest: np.ndarray
    """Highest probability of the class in each component."""
    meetings: np.ndarray
    """Each pair of a component and a labeled component that share a pixel, as their indices, [pairs, 2]."""


class LabeledImage:
    """The probabilities and the label of an image, and what the last rule made of them."""

    def __init__(self, probabilities: np.ndarray, label: np.ndarray):
        """Count what depends on the label alone.

        Args:
            probabilities: of each defect class, float32 [h, w, defects].
            label: class ids, uint8 [h, w]; others are void.
        """
        self._planes = np.ascontiguousarray(np.moveaxis(probabilities, -1, 0))
        self.label = label
        num_classes = 1 + len(self._planes)
        void = label >= num_classes
        self._void = void.ravel() if void.any() else None
        self._any_valid = not void.all()
        components = find_components(label, range(1, num_classes))
        numbers = components.numbers.ravel()
        self._labeled = []
        for k, plane in enumerate(self._planes, 1):
            pixels = np.flatnonzero(label == k).astype(np.int32)
            first = np.searchsorted(components.labels, k)
            count = int((components.labels == k).sum())
            own = (numbers[pixels] - 1 - first).astype(np.int32)
            self._labeled.append(_Labeled(pixels, own, _highest(plane.ravel()[pixels], own, count)))
        self._thresholds: dict[str, float] = {}
        self._classes = np.zeros(label.shape, np.uint8)
        none = np.zeros(0, np.int64)
        nothing = _Predicted(none, none, none, none, np.zeros((0, 2), np.int64))
        self._predicted = [nothing] * len(self._planes)

    @property
    def probabilities(self) -> np.ndarray:
        """Of each defect class, float32 [h, w, defects]."""
        return np.moveaxis(self._planes, 0, -1)

    def measure(self, rule: DecisionRule) -> Measured:
        """Return the counts under a rule."""
        if rule.thresholds != self._thresholds:
            self._decide(np.array(list(rule.thresholds.values())))
            self._thresholds = dict(rule.thresholds)
        return self._measured(list(rule.minimum_areas.values()))

    def _decide(self, thresholds: np.ndarray) -> None:
        """Find the components of the classes that these thresholds change."""
        classes = decide(self.probabilities, thresholds)
        changed = classes != self._classes
        for k in np.union1d(classes[changed], self._classes[changed]):
            if k:
                self._predicted[k - 1] = self._find(classes == k, k)
        self._classes = classes

    def _find(self, inside: np.ndarray, k: int) -> _Predicted:
        """Return the predicted components of a class from the map of its pixels."""
        numbers = np.zeros(inside.shape, np.int32)
        pixels, box, count = np.flatnonzero(inside), nonzero_box(inside), 0
        if pixels.size:
            numbered: Any = ndimage.label(inside[box], EIGHT_NEIGHBORS)
            numbers[box], count = numbered
        labeled = self._labeled[k - 1]
        own, numbers = numbers.ravel()[pixels] - 1, numbers.ravel()
        areas = np.bincount(own, minlength=count)
        valid = areas if self._void is None else np.bincount(own[~self._void[pixels]], minlength=count)
        met = numbers[labeled.pixels] - 1
        hit = met >= 0
        number = len(labeled.highest)
        pairs = np.unique(met[hit].astype(np.int64) * number + labeled.numbers[hit])
        return _Predicted(
            areas,
            valid,
            np.bincount(met[hit], minlength=count),
            _highest(self._planes[k - 1].ravel()[pixels], own, count),
            np.stack(np.divmod(pairs, max(number, 1)), -1),
        )

    def _measured(self, minimum_areas: Sequence[int]) -> Measured:
        """Return the counts of the components that are large enough."""
        rows, missed, false_alarm, too_small, scrapped = [], [], [], [], False
        for labeled, predicted, minimum in zip(self._labeled, self._predicted, minimum_areas, strict=True):
            kept = predicted.areas >= minimum
            hits, valid = predicted.hits[kept].sum(), predicted.valid[kept].sum()
            unmet = np.ones(len(labeled.highest), bool)
            unmet[predicted.meetings[kept[predicted.meetings[:, 0]], 1]] = False
            too_small.append(int(unmet[np.unique(predicted.meetings[:, 1])].sum()))
            alarms = kept & (predicted.valid > 0) & (predicted.hits == 0)
            rows.append(
                (hits, valid - hits, len(labeled.pixels) - hits, (~unmet).sum(), unmet.sum(), alarms.sum())
            )
            missed.extend(labeled.highest[unmet].tolist())
            false_alarm.extend(predicted.highest[alarms].tolist())
            scrapped |= bool(kept.any())
        columns = np.array(rows, np.int64).T
        return Measured(
            DecisionCounts(
                ConfusionCounts(*columns[:3]),
                *columns[3:],
                labeled=self._any_valid,
                defective=any(len(labeled.pixels) for labeled in self._labeled),
                scrapped=scrapped,
            ),
            min(missed, default=None),
            max(false_alarm, default=None),
            too_small,
        )


def _highest(values: np.ndarray, numbers: np.ndarray, count: int) -> np.ndarray:
    """Return the largest value of each number from 0 on, float32 [count]."""
    highest = np.zeros(count, np.float32)
    np.fmax.at(highest, numbers, values)
    return highest
