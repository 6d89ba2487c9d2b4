"""Connected components of class maps: the single defects."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

_EIGHT_NEIGHBORS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected."""


class Component(NamedTuple):
    """One connected component of a class."""

    label: int
    """Class id."""
    box: tuple[slice, slice]
    """Rows and columns of the bounding box."""
    pixels: np.ndarray
    """Which pixels of the box belong to the component, bool."""

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())


def components(classes: np.ndarray, labels: Sequence[int]) -> Iterator[Component]:
    """Yield the connected components of some classes, in the order of the classes and from top to bottom.

    Args:
        classes: class ids, [h, w].
        labels: ids of the classes to look for.
    """
    for label in labels:
        labeled: Any = ndimage.label(classes == label, _EIGHT_NEIGHBORS)
        numbers = labeled[0]
        for number, box in enumerate(ndimage.find_objects(numbers), start=1):
            yield Component(label, box, numbers[box] == number)


def without_small(classes: np.ndarray, minimum_areas: Sequence[int]) -> np.ndarray:
    """Return a class map in which components below the minimum area of their class are background.

    Args:
        classes: class ids, [h, w].
        minimum_areas: in pixels, of each defect class; 1 keeps all components.
    """
    kept = classes.copy()
    for component in components(classes, range(1, len(minimum_areas) + 1)):
        if component.area < minimum_areas[component.label - 1]:
            kept[component.box][component.pixels] = 0
    return kept
