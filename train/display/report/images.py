"""The images of a report, with drawings of labels, predictions and costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from train.display.pages.frames import SIDE, Frame, data_uri, frame_fields, layer
from train.display.pictures import enlarge, heatmap


class Picture(NamedTuple):
    """One image of the evaluated part with its prediction."""

    name: str
    image: np.ndarray
    """uint8 [h, w, 1 or 3]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 is void."""
    prediction: np.ndarray
    """Class ids, uint8 [h, w]."""
    iou: float
    """Mean over the defect classes labeled or predicted in the image; NaN if there are none."""


class CostPicture(NamedTuple):
    """One image of the evaluated part with the cost of its pixels before and after training."""

    name: str
    image: np.ndarray
    """uint8 [h, w, 1 or 3]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 is void."""
    before: np.ndarray
    """Cost of each pixel at the input size of the network, [h', w']; NaN where void."""
    after: np.ndarray


@dataclass(frozen=True)
class PictureFrame(Frame):
    """One image on the page with its prediction."""

    prediction: str
    """A transparent layer over the image."""
    iou: float


@dataclass(frozen=True)
class Heatmap:
    """The cost of the pixels of one image at one time."""

    time: str
    """"before" or "after" training."""
    picture: str
    mean: float
    half: float | None
    """Smallest fraction of the pixels with half of the cost; None without a finite cost above 0."""


@dataclass(frozen=True)
class CostFrame(Frame):
    """One image on the page with the cost of its pixels."""

    heatmaps: Sequence[Heatmap]


def picture_frame(picture: Picture) -> PictureFrame:
    """Encode an image, its label and its prediction."""
    return PictureFrame(**_fields(picture), prediction=layer(picture.prediction), iou=picture.iou)


def cost_frame(picture: CostPicture) -> CostFrame:
    """Encode an image, its label and two heatmaps of its cost."""
    costs = (("before", picture.before), ("after", picture.after))
    return CostFrame(**_fields(picture), heatmaps=[_heatmap(time, cost) for time, cost in costs])


def half_cost_fraction(cost: np.ndarray) -> float | None:
    """Return the smallest fraction of the pixels with half of the cost; None without a finite cost above 0.

    Args:
        cost: [h, w]; NaN at void pixels.
    """
    descending = np.sort(cost[~np.isnan(cost)].astype(float))[::-1]
    sums = descending.cumsum()
    if not sums.size or not 0 < sums[-1] < math.inf:
        return None
    return float((np.searchsorted(sums, sums[-1] / 2) + 1) / sums.size)


def _fields(picture: Picture | CostPicture) -> dict[str, Any]:
    return frame_fields(picture.name, picture.image, picture.label)


def _heatmap(time: str, cost: np.ndarray) -> Heatmap:
    valid = cost[~np.isnan(cost)]
    return Heatmap(
        time=time,
        picture=data_uri(enlarge(heatmap(cost), SIDE)),
        mean=float(valid.mean()) if valid.size else math.nan,
        half=half_cost_fraction(cost),
    )
