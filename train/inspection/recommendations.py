"""The options that suit the labels of a data set, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from train.data.example import Size
from train.inspection.muting import MUTED

_SMALL = 0.1
"""Fraction of the labeled pixels below which a class needs class weights."""
_FEW_IMAGES = 20
"""Number of training images that show a class below which its defects are pasted into others."""
_LARGEST_WEIGHT = 4.0
"""Largest mean weight of a class under a recommended beta; a larger one would cost precision."""
_WHOLE_FRACTION = 0.95
"""Fraction of the components that a recommended crop holds whole."""
_CROP_STEP = 32

Value = TypeVar("Value")


@dataclass(frozen=True)
class Recommendation(Generic[Value]):
    """A value for an option."""

    value: Value
    """The recommended value."""
    reason: str
    """Why, in one line."""


@dataclass(frozen=True)
class Recommendations:
    """Options that suit the labels."""

    objective: Recommendation[str]
    """Name of an objective of `configs/objectives.py`."""
    beta: Recommendation[float]
    """Strength of constant class weights."""
    window: Recommendation[int | None]
    """Side of the window of the confusion mask; None for no mask."""
    crop: Recommendation[Size]
    """Height and width."""
    inject: Recommendation[float | None]
    """Fraction of the training images that a defect is pasted into; None for none."""


def recommend_objective(pixel_ratio: np.ndarray, classes: Sequence[str]) -> Recommendation[str]:
    """Recommend an objective by the share of the pixels that the rarest class has.

    Args:
        pixel_ratio: fraction of the labeled pixels of the training part, [classes].
        classes: names.
    """
    k = int(np.where(pixel_ratio > 0, pixel_ratio, np.inf)[1:].argmin()) + 1
    ratio = f"{classes[k]} has {100 * pixel_ratio[k]:.2g} % of the pixels"
    badly = (
        "outlines that are drawn too thin, which this command cannot see, need accurate validation labels or "
        "`paper`"
    )
    if pixel_ratio[k] < _SMALL:
        return Recommendation(
            "slowly_closing_relaxing_no_window", f"{ratio}, below {100 * _SMALL:.0f} %; {badly}"
        )
    return Recommendation("cross_entropy_dice", f"{ratio}, no class less; {badly}")


def recommend_injection(images: np.ndarray, classes: Sequence[str]) -> Recommendation[float | None]:
    """Recommend to paste defects where few training images show a class.

    Args:
        images: number of training images that show each class, [classes].
        classes: names.
    """
    k = int(np.where(images > 0, images, np.inf)[1:].argmin()) + 1
    shown = f"{classes[k]} is on {images[k]} training images"
    if 0 < images[k] < _FEW_IMAGES:
        return Recommendation(0.5, f"{shown}, fewer than {_FEW_IMAGES}; compare runs with and without")
    return Recommendation(None, f"{shown}, no class on fewer")


def recommend_beta(weight: Mapping[float, np.ndarray], classes: Sequence[str]) -> Recommendation[float]:
    """Recommend the largest beta under which no defect has a mean constant weight above `_LARGEST_WEIGHT`.

    Args:
        weight: mean class weight by beta, [classes] each.
        classes: names.
    """
    # Under a beta of 0.75 a class below one percent weighs exactly 4, up to rounding.
    bound = _LARGEST_WEIGHT * (1 + 1e-6)
    # Not empty: under a beta of 0 all classes weigh 1.
    value = max(beta for beta, mean in weight.items() if not (mean[1:] > bound).any())
    larger = [beta for beta in weight if beta > value]
    if not larger:
        most = f"no class weighs more than {_LARGEST_WEIGHT:g} on average"
        return Recommendation(value, f"constant weights: even under this beta {most}")
    over = weight[larger[0]]
    k = int(np.nanargmax(over[1:])) + 1
    mean = f"{over[k]:.1f} on average, above {_LARGEST_WEIGHT:g}"
    reason = f"constant weights: under {larger[0]} {classes[k]} would weigh {mean}"
    return Recommendation(value, reason)


def recommend_window(
    rescaled: Mapping[int, np.ndarray], classes: Sequence[str]
) -> Recommendation[int | None]:
    """Recommend the largest window below the smallest that mutes a defect; None where there is none.

    Args:
        rescaled: mean rescaled confusion mask by window, in increasing order, [classes] each.
        classes: names.
    """
    value = None
    for window, mean in rescaled.items():
        if (mean[1:] < MUTED).any():
            k = int(np.nanargmin(mean[1:])) + 1
            reason = f"window {window} leaves {classes[k]} a rescaled mask of {mean[k]:.2f}, below {MUTED}"
            if value is None:
                reason += "; take no confusion mask, or a larger input.size, or the mask's option minimum"
            return Recommendation(value, reason)
        value = window
    return Recommendation(max(rescaled), f"even under this window no class has a rescaled mask below {MUTED}")


def recommend_crop(extents: Sequence[int], canvas: Size) -> Recommendation[Size]:
    """Recommend the smallest square, in steps, that holds most components whole, cut to the image.

    Args:
        extents: the longer side of the bounding box of each component.
        canvas: height and width of the largest image.
    """
    extent = float(np.percentile(extents, 100 * _WHOLE_FRACTION)) if extents else 1.0
    side = _CROP_STEP * int(np.ceil(extent / _CROP_STEP))
    height, width = (min(side, length) for length in canvas)
    reason = f"{_WHOLE_FRACTION:.0%} of the defects are at most {extent:.0f} pixels long or wide"
    return Recommendation((height, width), reason)
