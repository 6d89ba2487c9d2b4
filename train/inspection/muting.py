"""How far the confusion mask mutes each class of the training labels, measured before training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from train.inspection.class_sums import class_sums, confusion, mean_over_images, rescale_confusion

MUTED = 0.5
"""A class with a rescaled mask below this number loses most of its weight."""


@dataclass(frozen=True)
class ClassMuting:
    """One class of the training labels under the confusion mask."""

    images: int
    """Images that show the class."""
    pixel_fraction: float
    """Fraction of all labeled pixels."""
    mask: float | None
    """Mean of the mask over the pixels of the class in an image, then over the images that show the class."""
    rescaled_mask: float | None
    """The mean mask on a scale for any number of classes: 1 far from a boundary, 0 where two classes mix
    evenly, negative where more classes do."""


@dataclass(frozen=True)
class Muting:
    """The training labels under the confusion mask, as muting.json holds them."""

    window: int | None
    """Side of the window in pixels; None where the objective has no confusion mask."""
    images: int
    """Training images."""
    classes: dict[str, ClassMuting]
    """By class."""


def measure_muting(labels: Iterable[np.ndarray], classes: Sequence[str], window: int | None) -> Muting:
    """Measure how common each class is, and how much of its weight the confusion mask leaves.

    Args:
        labels: class ids uint8 [h, w] of any sizes, at the size of the input of the network; other ids are
            void.
        classes: names, the background first; at least two.
        window: side of the window of the mask in pixels; None for no confusion mask.
    """
    masks = () if window is None else (confusion(window),)
    pixels, *sums = class_sums(labels, len(classes), masks)
    fraction = pixels.sum(0) / max(1, pixels.sum())
    mean = mean_over_images(sums[0], pixels) if sums else np.full(len(classes), np.nan)
    rescaled = rescale_confusion(mean, len(classes))
    return Muting(
        window=window,
        images=len(pixels),
        classes={
            name: ClassMuting(
                images=int((pixels[:, k] > 0).sum()),
                pixel_fraction=float(fraction[k]),
                mask=float(mean[k]) if np.isfinite(mean[k]) else None,
                rescaled_mask=float(rescaled[k]) if np.isfinite(mean[k]) else None,
            )
            for k, name in enumerate(classes)
        },
    )


def muting_warnings(muting: Muting) -> list[str]:
    """Return one line for each defect class that the confusion mask mutes: which, how far, and the remedy."""
    smaller = "a smaller window, " if muting.window != 3 else ""
    return [
        f"{name}: a confusion mask of window {muting.window} mutes this class (rescaled mean "
        f"{row.rescaled_mask:.2f}, below {MUTED}), because most of its pixels are close to another class; "
        f"take {smaller}a larger input.size, or the mask's option minimum or preserve_class_mass"
        for name, row in list(muting.classes.items())[1:]
        if row.rescaled_mask is not None and row.rescaled_mask < MUTED
    ]
