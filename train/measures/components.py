"""Connected components of class maps: the single defects."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), bool)
"""Pixels are of one component if they touch by a corner."""


class Component(NamedTuple):
    """One connected piece of a class."""

    label: int
    """Class id."""
    box: tuple[slice, slice]
    """Rows and columns of the smallest upright box around it."""
    pixels: np.ndarray
    """Which pixels of the box are its own, bool."""

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return int(self.pixels.sum())


def components(classes: np.ndarray, labels: Sequence[int]) -> Iterator[Component]:
    """The connected components of some classes, in the order of the classes and from top to bottom.

    Args:
        classes: class ids, [h, w].
        labels: ids of the classes to look for.
    """
    for label in labels:
        labelled: Any = ndimage.label(classes == label, EIGHT)
        numbers = labelled[0]
        for number, box in enumerate(ndimage.find_objects(numbers), start=1):
            yield Component(label, box, numbers[box] == number)


def without_small(classes: np.ndarray, minimum_areas: Sequence[int]) -> np.ndarray:
    """A class map with background in the place of components that are too small.

    Args:
        classes: class ids, [h, w].
        minimum_areas: pixels that a component of each defect class has at least; 1 keeps all.
    """
    kept = classes.copy()
    for component in components(classes, range(1, len(minimum_areas) + 1)):
        if component.area < minimum_areas[component.label - 1]:
            kept[component.box][component.pixels] = 0
    return kept
