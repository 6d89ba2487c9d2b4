"""Defects cut out of training images by their labels, and pasted into other training images.

After the copy-paste of Ghiasi et al. (CVPR 2021) and the dynamic label injection of Caruso et al. (ECCV
workshops 2024). What is pasted is a connected component, mirrored and turned by right angles: its pixels are
not interpolated, so a line of one pixel stays whole.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy import ndimage

from train.data.cache import Batch, ExampleCache

_EIGHT_NEIGHBORS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected."""
_MARGIN = 4
"""Pixels around a pasted defect over which it fades into the image."""


@dataclass(frozen=True)
class Defect:
    """A connected component of one class, with the pixels around it."""

    label: int
    """Class id."""
    image: np.ndarray
    """uint8 [h, w, c]."""
    opacity: np.ndarray
    """[h, w]: 1 on the component; around it falling to 0 over the margin; 0 at other defects and at void."""
    touches: np.ndarray
    """bool [3, 3], turned like the image: in the middle of each side whether the component reached that side
    of the image that it was cut out of; elsewhere false."""


class Donors:
    """The training images as sources of defects."""

    def __init__(self, examples: ExampleCache, present: Sequence[Sequence[int]]):
        """Find the examples of each class.

        Args:
            examples: of the training part.
            present: class ids in the label of each example.
        """
        self._examples = examples
        self._images: dict[int, list[int]] = defaultdict(list)
        for i, ids in enumerate(present):
            for k in ids:
                if k:
                    self._images[k].append(i)
        rarity = np.array([1 / len(images) for images in self._images.values()])
        self._probabilities = rarity / rarity.sum()

    def inject(self, example: Batch, rng: np.random.Generator) -> Batch:
        """Return an example with a defect pasted in, and with the precomputed masks of its new label.

        The probability of a class is inversely proportional to the number of examples that show it. The
        example is returned as it is where the donor has lost the class, when its label was resized.
        """
        k = int(rng.choice(list(self._images), p=self._probabilities))
        donor = self._examples[int(rng.choice(self._images[k]))]
        defect = cut_out(donor["image"], donor["label"], k, rng)
        if defect is None:
            return example
        return self._examples.with_masks(*paste(defect, example["image"], example["label"], rng))


def cut_out(image: np.ndarray, label: np.ndarray, k: int, rng: np.random.Generator) -> Defect | None:
    """Return a random defect of a class, mirrored and turned at random; None where there is none.

    A component is drawn by its pixels, so that specks of a label are drawn rarely.

    Args:
        image: uint8 [h, w, c].
        label: class ids, uint8 [h, w].
        k: the class.
        rng: of this example.
    """
    pixels = np.flatnonzero(label == k)
    if not pixels.size:
        return None
    components, _ = cast(tuple[np.ndarray, int], ndimage.label(label == k, _EIGHT_NEIGHBORS))
    number = components.flat[rng.choice(pixels)]
    rows, columns = ndimage.find_objects(components)[number - 1]
    box = tuple(slice(max(0, side.start - _MARGIN), side.stop + _MARGIN) for side in (rows, columns))
    inside = components[box] == number
    distance: Any = ndimage.distance_transform_edt(~inside)
    opacity = np.clip(1 - distance / (_MARGIN + 1), 0, 1)
    opacity[~inside & (label[box] != 0)] = 0
    touches = np.zeros((3, 3), bool)
    touches[[0, 2], 1] = rows.start == 0, rows.stop == label.shape[0]
    touches[1, [0, 2]] = columns.start == 0, columns.stop == label.shape[1]
    step, quarters = rng.choice([1, -1]), int(rng.integers(4))
    return Defect(k, *(np.rot90(x[:, ::step], quarters) for x in (image[box], opacity, touches)))


def paste(
    defect: Defect, image: np.ndarray, label: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of an image and its label with a defect at a random place.

    Only background changes: void and the image's own defects stay as they are. To the defect is added, in
    each channel, by how much the image is lighter than the donor over the margin. A defect that reached one
    side of the donor and not the opposite one is pasted at a side: it may be cut off there. Of a defect that
    is higher or wider than the image, a part is pasted.

    Args:
        defect: to be pasted.
        image: uint8 [h, w, c].
        label: class ids, uint8 [h, w].
        rng: of this example.
    """
    image, label = image.copy(), label.copy()
    height, width = defect.opacity.shape
    (_, top, _), (left, _, right), (_, bottom, _) = defect.touches.tolist()
    rows = _place(label.shape[0], height, top, bottom, rng)
    columns = _place(label.shape[1], width, left, right, rng)
    window, part = zip(rows, columns, strict=True)
    opacity = np.where(label[window] == 0, defect.opacity[part], 0)
    donor, target = (x.astype(np.float32) for x in (defect.image[part], image[window]))
    margin = (opacity > 0) & (opacity < 1)
    if margin.any():
        donor += target[margin].mean(0) - donor[margin].mean(0)
    opaque = opacity[..., None]
    image[window] = np.clip(np.rint(opaque * donor + (1 - opaque) * target), 0, 255)
    label[window][opacity == 1] = defect.label
    return image, label


def _place(length: int, side: int, first: bool, last: bool, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return where a defect lies in an image, along one axis, and which part of the defect is seen there.

    Args:
        length: of the image.
        side: length of the defect.
        first: whether the defect reached the first row or column of its image.
        last: whether it reached the last one.
        rng: of this example.
    """
    free, common = abs(length - side), min(length, side)
    start = int(rng.integers(free + 1)) if first == last else free * last
    moved, whole = slice(start, start + common), slice(0, common)
    return (moved, whole) if side <= length else (whole, moved)
