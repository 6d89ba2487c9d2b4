"""Images on a page: encoded as data URIs, with drawings of class ids as layers over them."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from train.data.pixels import channels_to_display
from train.display.pictures import class_layer, enlarge

SIDE = 400
"""Pixels of the longer side of an image on a page; the browser enlarges smaller ones."""
_LARGEST_PNG = 40_000
"""Bytes up to which an opaque picture is encoded as PNG; a larger one becomes JPEG."""


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


def frame_fields(name: str, image: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """Return the fields of a `Frame`.

    Args:
        name: of the image.
        image: uint8 [h, w, 1 or 3].
        label: class ids, uint8 [h, w]; 255 is void.
    """
    height, width = label.shape
    return {
        "name": name,
        "width": width,
        "height": height,
        "small": max(height, width) < SIDE // 2,
        "image": data_uri(channels_to_display(image)),
        "label": layer(label),
    }


def layer(classes: np.ndarray) -> str:
    """Return class ids, uint8 [h, w], as a transparent layer over an image of their size."""
    # Flat outlines compress well, so that a layer may have twice the resolution of its image.
    return data_uri(class_layer(enlarge(classes, SIDE)), 2 * SIDE)


def data_uri(pixels: np.ndarray, side: int = SIDE) -> str:
    """Return a picture, uint8 [h, w, 1, 3 or 4], as a data URI; a side beyond `side` pixels is shrunk."""
    image = _shrink(pixels, side)
    kind, encoded = "png", _encode(image, format="PNG", optimize=True)
    if len(encoded) > _LARGEST_PNG and image.mode != "RGBA":
        kind, encoded = "jpeg", _encode(image, format="JPEG", quality=80)
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


def _shrink(pixels: np.ndarray, side: int) -> Image.Image:
    """Return a picture whose longer side is at most so many pixels."""
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    factor = min(1.0, side / max(image.size))
    width, height = (max(1, round(factor * length)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _encode(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()
