"""The images of a report: encoded for the page, with drawings of labels, predictions and costs."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from train.data.pixels import channels_to_display
from train.display.pictures import class_layer, enlarge, heatmap

_SIDE = 400
"""Pixels of the longer side of an image on the page; the browser enlarges smaller ones."""
_LARGEST_PNG = 40_000
"""Bytes up to which an opaque picture is encoded as PNG; a larger one becomes JPEG."""


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
class Frame:
    """One image on the page; pictures are data URIs."""

    name: str
    width: int
    height: int
    small: bool
    """Whether the page shows each pixel of the image as a sharp square."""
    image: str
    label: str
    """A transparent layer over the image."""


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
    return PictureFrame(**_frame(picture), prediction=_layer(picture.prediction), iou=picture.iou)


def cost_frame(picture: CostPicture) -> CostFrame:
    """Encode an image, its label and two heatmaps of its cost."""
    costs = (("before", picture.before), ("after", picture.after))
    return CostFrame(**_frame(picture), heatmaps=[_heatmap(time, cost) for time, cost in costs])


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


def _frame(picture: Picture | CostPicture) -> dict[str, Any]:
    """Return the fields of a `Frame`."""
    height, width = picture.label.shape
    return {
        "name": picture.name,
        "width": width,
        "height": height,
        "small": max(height, width) < _SIDE // 2,
        "image": _data_uri(_shrink(channels_to_display(picture.image), _SIDE)),
        "label": _layer(picture.label),
    }


def _layer(classes: np.ndarray) -> str:
    # Flat outlines compress well, so that a layer may have twice the resolution of its image.
    return _data_uri(_shrink(class_layer(enlarge(classes, _SIDE)), 2 * _SIDE))


def _heatmap(time: str, cost: np.ndarray) -> Heatmap:
    valid = cost[~np.isnan(cost)]
    return Heatmap(
        time=time,
        picture=_data_uri(_shrink(enlarge(heatmap(cost), _SIDE), _SIDE)),
        mean=float(valid.mean()) if valid.size else math.nan,
        half=half_cost_fraction(cost),
    )


def _shrink(pixels: np.ndarray, side: int) -> Image.Image:
    """Return a picture whose longer side is at most `side` pixels."""
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    factor = min(1.0, side / max(image.size))
    width, height = (max(1, round(factor * length)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _data_uri(image: Image.Image) -> str:
    kind, encoded = "png", _encode(image, format="PNG", optimize=True)
    if len(encoded) > _LARGEST_PNG and image.mode != "RGBA":
        kind, encoded = "jpeg", _encode(image, format="JPEG", quality=80)
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


def _encode(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()
