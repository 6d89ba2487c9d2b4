"""Connected components of class maps: the single defects.

All components of a map are counted in one pass: a map may hold a million of them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

EIGHT_NEIGHBORS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected."""
_BLOCK = 2**20
"""Pixels that are counted at a time."""


class Components(NamedTuple):
    """The connected components of a class map, numbered class by class, and from top to bottom."""

    numbers: np.ndarray
    """Number of the component of each pixel, from 1 on; 0 outside of all; [h, w]."""
    labels: np.ndarray
    """Class id of each component, in the order of the numbers."""
    areas: np.ndarray
    """Pixels of each component."""

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of a map, [h, w], over each component."""
        return _sums_by_number(self.numbers, len(self.labels), values)

    def pixels_in(self, where: np.ndarray) -> np.ndarray:
        """Return how many pixels of each component are in a map, bool [h, w]."""
        return self.sums(where).astype(int)

    def boxes(self) -> list[tuple[slice, slice]]:
        """Return rows and columns of the bounding box of each component."""
        return ndimage.find_objects(self.numbers)


def find_components(classes: np.ndarray, labels: Sequence[int]) -> Components:
    """Return the connected components of some classes.

    Args:
        classes: class ids, [h, w].
        labels: ids of the classes to look for, from 1 on.
    """
    numbers = np.zeros(classes.shape, np.int32)
    boxes = class_boxes(classes, max(labels, default=0))
    areas: list[np.ndarray] = []
    for label in labels:
        areas.append(np.zeros(0, int))
        if (box := boxes[label - 1]) is not None:
            inside = classes[box] == label
            numbered: Any = ndimage.label(inside, EIGHT_NEIGHBORS)
            numbers[box][inside] = numbered[0][inside] + sum(map(len, areas))
            areas[-1] = _sums_by_number(numbered[0], numbered[1], inside).astype(int)
    counts = [len(each) for each in areas]
    whole = np.concatenate([np.zeros(0, int), *areas])
    return Components(numbers, np.repeat(np.array(labels, int), counts), whole)


def _sums_by_number(numbers: np.ndarray, count: int, values: np.ndarray) -> np.ndarray:
    """Return the sum of a map over the pixels of each number from 1 to a count, in float64.

    Block by block, because `bincount` converts all that it is given to 64 bits.
    """
    numbers, values, sums = numbers.ravel(), values.ravel(), np.zeros(count + 1)
    for start in range(0, numbers.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        sums += np.bincount(numbers[block], values[block], count + 1)
    return sums[1:]


def class_boxes(classes: np.ndarray, largest: int) -> list[tuple[slice, slice] | None]:
    """Return the box that holds all pixels of a class, for each class id from 1 to the largest."""
    return ndimage.find_objects(classes.astype(np.int32), largest) if largest else []


def nonzero_box(classes: np.ndarray) -> tuple[slice, slice]:
    """Return the smallest box that holds all pixels but those of class 0, empty without any."""
    sides = (np.flatnonzero(classes.any(axis)) for axis in (1, 0))
    rows, columns = (slice(side[0], side[-1] + 1) if side.size else slice(0) for side in sides)
    return rows, columns


class ComponentMatches(NamedTuple):
    """Labeled and predicted components of the defect classes of an image, and where they meet."""

    labeled: Components
    hits: np.ndarray
    """Pixels of each labeled component that are predicted as its class."""
    predicted: Components
    false_alarms: np.ndarray
    """Which predicted components touch no pixel labeled as their class, bool; none at void pixels alone."""


def match_components(predicted: np.ndarray, label: np.ndarray, num_classes: int) -> ComponentMatches:
    """Return the components of a prediction and of a label image.

    Args:
        predicted: class ids, [h, w].
        label: class ids, [h, w]; others are void.
        num_classes: number of classes, the background first.
    """
    right, valid = predicted == label, label < num_classes
    labeled, found = (find_components(classes, range(1, num_classes)) for classes in (label, predicted))
    false_alarms = (found.pixels_in(valid) > 0) & (found.pixels_in(right) == 0)
    return ComponentMatches(labeled, labeled.pixels_in(right), found, false_alarms)


def without_small(classes: np.ndarray, minimum_areas: Sequence[int]) -> np.ndarray:
    """Return a class map in which components below the minimum area of their class are background.

    Args:
        classes: class ids, [h, w].
        minimum_areas: in pixels, of each defect class; 1 keeps all components.
    """
    kept = classes.copy()
    defects = kept[nonzero_box(classes)]
    components = find_components(defects, range(1, len(minimum_areas) + 1))
    small = components.areas < np.array(minimum_areas, int)[components.labels - 1]
    defects[np.concatenate([[False], small])[components.numbers]] = 0
    return kept
