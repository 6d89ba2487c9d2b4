"""What a decision makes of a part of a data set: which class is taken for which, where, and of what size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from balanced_jax.metrics import ConfusionCounts
from train.measures.bootstrap import iou_intervals
from train.measures.components import Component, components
from train.measures.figures import figures, stack

SIZES = (16, 64, 256, 1024)
"""Areas in pixels at which a new range of components begins; the first range begins at 1."""
RANGES = ("1-15", "16-63", "64-255", "256-1023", "1024+")
"""Their names."""
KINDS = ("labelled", "touched", "half", "false_alarms")
"""What is counted of the components of a range."""


class Breakdown:
    """Counts of a decision, image by image and over all of them; of each image no more is kept."""

    def __init__(self, num_classes: int):
        self.counts: list[ConfusionCounts] = []
        """Of each image, int64 [classes]."""
        self.confusion = np.zeros((2, num_classes, num_classes), np.int64)
        """Pixels inside and on a boundary, by label and by prediction."""
        self.components = np.zeros((num_classes - 1, len(RANGES), len(KINDS)), np.int64)
        """Connected components by defect class, range of their area, and kind."""

    def add(self, predicted: np.ndarray, label: np.ndarray, boundary: np.ndarray) -> None:
        """Counts one image.

        Args:
            predicted: class ids, [h, w].
            label: class ids, uint8 [h, w]; others are void.
            boundary: which labelled pixels have a neighbour of another class, [h, w].
        """
        num_classes = self.confusion.shape[-1]
        confusion = confusion_matrices(predicted, label, boundary, num_classes)
        pixels = confusion.sum(0)
        self.counts.append(counts_of(pixels))
        self.confusion += confusion
        for component in components(label, _ids(pixels[1:].sum(1))):
            hits = (predicted[component.box][component.pixels] == component.label).sum()
            self._kinds(component)[:3] += (1, hits > 0, 2 * hits >= component.area)
        # A class that is predicted at void pixels alone has no false alarm.
        for component in components(predicted, _ids(pixels[:, 1:].sum(0))):
            there = label[component.box][component.pixels]
            if (there < num_classes).any() and not (there == component.label).any():
                self._kinds(component)[3] += 1

    def _kinds(self, component: Component) -> np.ndarray:
        return self.components[component.label - 1, np.searchsorted(SIZES, component.area, side="right")]


def confusion_matrices(
    predicted: np.ndarray, label: np.ndarray, boundary: np.ndarray, num_classes: int
) -> np.ndarray:
    """Labelled pixels inside and on a boundary, by label and by prediction, int64 [2, classes, classes]."""
    rows = num_classes + 1  # the last for void pixels, because to leave them out first takes twice as long
    row = boundary.astype(np.int64) * rows + np.minimum(label, num_classes)
    cells = np.bincount((row * num_classes + predicted).ravel(), minlength=2 * rows * num_classes)
    return cells.reshape(2, rows, num_classes)[:, :num_classes]


def counts_of(confusion: np.ndarray) -> ConfusionCounts:
    """What each class counts, [..., classes], in matrices by label and by prediction."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).copy()  # a view would keep the matrix
    return ConfusionCounts(hits, confusion.sum(-2) - hits, confusion.sum(-1) - hits)


def summary(breakdown: Breakdown, groups: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """All that a breakdown says of a part, as it stands in evaluation.json.

    Args:
        breakdown: of the part.
        groups: of each of its images.
        classes: their names.
    """
    counts = stack(breakdown.counts)
    return {
        **figures(counts, classes),
        "intervals": iou_intervals(counts, groups, classes),
        "confusion": breakdown.confusion.sum(0).tolist(),
        "boundary": _boundary(counts_of(breakdown.confusion), classes),
        "components": {
            name: {
                area: dict(zip(KINDS, kinds, strict=True))
                for area, kinds in zip(RANGES, of_class.tolist(), strict=True)
            }
            for name, of_class in zip(classes[1:], breakdown.components, strict=True)
        },
    }


def _boundary(counts: ConfusionCounts, classes: Sequence[str]) -> Mapping[str, Mapping[str, float | None]]:
    """For each class the share of its pixels, hits and false positives on a boundary; counts [2, classes]."""
    hits, wrong, missed = map(np.asarray, counts)
    labelled = hits + missed
    columns = {
        "share": _ratios(labelled[1], labelled.sum(0)),
        "recall": _ratios(hits[1], labelled[1]),
        "recall_inside": _ratios(hits[0], labelled[0]),
        "false_positives": _ratios(wrong[1], wrong.sum(0)),
    }
    return {name: {key: column[k] for key, column in columns.items()} for k, name in enumerate(classes)}


def _ids(pixels: np.ndarray) -> list[int]:
    """The defect classes that have any, of the pixels of each."""
    return (1 + np.flatnonzero(pixels)).tolist()


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]
