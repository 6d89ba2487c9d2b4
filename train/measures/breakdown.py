"""Where the errors of a decision are: confusion of classes, boundaries, components by size."""

from collections.abc import Sequence

import numpy as np

from balanced_jax.metrics import ConfusionCounts
from train.measures.bootstrap import iou_intervals
from train.measures.components import Components, match_components
from train.measures.figures import figures, stack
from train.measures.records import BoundaryFigures, Breakdown, ComponentCounts

_SIZES = (16, 64, 256, 1024)
"""Areas in pixels at which a new range of components begins; the first range begins at 1."""
_RANGES = ("1-15", "16-63", "64-255", "256-1023", "1024+")
"""Names of the ranges."""
_INSIDE, _BOUNDARY = 0, 1
"""Indices of pixels inside a region and on a boundary."""


class BreakdownCounts:
    """Counts of a decision, accumulated image by image; nothing else is kept of an image."""

    def __init__(self, num_classes: int):
        self.counts: list[ConfusionCounts] = []
        """Of each image, int64 [classes]."""
        self.confusion = np.zeros((2, num_classes, num_classes), np.int64)
        """Pixels inside and on a boundary, by label and by prediction."""
        self.components = np.zeros((num_classes - 1, len(_RANGES), 4), np.int64)
        """Connected components by defect class, range of the area, and field of `ComponentCounts`."""

    def add(self, predicted: np.ndarray, label: np.ndarray, boundary: np.ndarray) -> None:
        """Count one image.

        Args:
            predicted: class ids, [h, w].
            label: class ids, uint8 [h, w]; other values are void.
            boundary: which labeled pixels have a neighbor of another class, [h, w].
        """
        num_classes = self.confusion.shape[-1]
        confusion = confusion_matrices(predicted, label, boundary, num_classes)
        self.counts.append(_counts_of(confusion.sum(0)))
        self.confusion += confusion
        matches = match_components(predicted, label, num_classes)
        labeled, hits = matches.labeled, matches.hits
        met = np.stack([np.ones_like(hits), hits > 0, 2 * hits >= labeled.areas], -1)
        np.add.at(self.components[..., :3], _row(labeled), met)
        np.add.at(self.components[..., 3], _row(matches.predicted), matches.false_alarms)

    def breakdown(self, groups: Sequence[str], classes: Sequence[str]) -> Breakdown:
        """Return the breakdown of all images.

        Args:
            groups: of each image.
            classes: names, the background first.
        """
        counts = stack(self.counts)
        return Breakdown(
            **vars(figures(counts, classes)),
            intervals=iou_intervals(counts, groups, classes),
            confusion=self.confusion.sum(0).tolist(),
            boundary=_boundary_figures(_counts_of(self.confusion), classes),
            components={
                name: {area: ComponentCounts(*row) for area, row in zip(_RANGES, rows.tolist(), strict=True)}
                for name, rows in zip(classes[1:], self.components, strict=True)
            },
        )


def confusion_matrices(
    predicted: np.ndarray, label: np.ndarray, boundary: np.ndarray, num_classes: int
) -> np.ndarray:
    """Count labeled pixels inside and on a boundary, by label and prediction, int64 [2, classes, classes]."""
    rows = num_classes + 1  # the last for void pixels: to select the others first takes twice as long
    row = boundary.astype(np.int64) * rows + np.minimum(label, num_classes)
    cells = np.bincount((row * num_classes + predicted).ravel(), minlength=2 * rows * num_classes)
    return cells.reshape(2, rows, num_classes)[:, :num_classes]


def _row(components: Components) -> tuple[np.ndarray, np.ndarray]:
    """Return where `BreakdownCounts.components` counts each component."""
    return components.labels - 1, np.searchsorted(_SIZES, components.areas, side="right")


def _counts_of(confusion: np.ndarray) -> ConfusionCounts:
    """Return the counts of each class, [..., classes], in confusion matrices by label and prediction."""
    true_positives = np.diagonal(confusion, axis1=-2, axis2=-1).copy()  # no view of the matrix
    return ConfusionCounts(
        true_positives, confusion.sum(-2) - true_positives, confusion.sum(-1) - true_positives
    )


def _boundary_figures(counts: ConfusionCounts, classes: Sequence[str]) -> dict[str, BoundaryFigures]:
    """Return the figures of each class from counts [2, classes] inside and on the boundary."""
    true_positives, false_positives, false_negatives = map(np.asarray, counts)
    labeled = true_positives + false_negatives
    columns = zip(
        _ratios(labeled[_BOUNDARY], labeled.sum(0)),
        _ratios(true_positives[_BOUNDARY], labeled[_BOUNDARY]),
        _ratios(true_positives[_INSIDE], labeled[_INSIDE]),
        _ratios(false_positives[_BOUNDARY], false_positives.sum(0)),
        strict=True,
    )
    return {name: BoundaryFigures(*row) for name, row in zip(classes, columns, strict=True)}


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]
