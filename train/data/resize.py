"""Images and labels at another height and width."""

from typing import Any

import numpy as np
from PIL import Image

from train.data.example import Size


def resized_image(image: np.ndarray, size: Size) -> np.ndarray:
    """Return an image uint8 [h, w, c] resized by a bilinear filter, averaging over areas when shrinking."""
    if image.shape[:2] == size:
        return image
    if image.shape[-1] not in (1, 3):
        channels = [resized_image(image[..., k : k + 1], size) for k in range(image.shape[-1])]
        return np.concatenate(channels, -1)
    height, width = size
    whole = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR)).reshape(
        height, width, image.shape[-1]
    )


def resized_label(label: np.ndarray, size: Size) -> np.ndarray:
    """Return a label uint8 [h, w] resized by nearest neighbors."""
    if label.shape == size:
        return label
    height, width = size
    return np.asarray(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))


def padded(x: np.ndarray, size: Size, value: int) -> np.ndarray:
    """Return an array [h, w, ...] padded with a value at the bottom and on the right, to at least `size`."""
    return _padded(x, size, constant_values=value)


def padded_image(image: np.ndarray, size: Size) -> np.ndarray:
    """Return an image [h, w, c] padded with copies of its last row and column, to at least `size`.

    A network trained on crops inside of images takes the edge of a constant padding for a defect.
    """
    return _padded(image, size, mode="edge")


def _padded(x: np.ndarray, size: Size, **how: Any) -> np.ndarray:
    missing = [max(0, side - length) for side, length in zip(size, x.shape[:2], strict=True)]
    if not any(missing):
        return x  # np.pad would copy the array, which takes longer than all else of a crop
    return np.pad(x, ((0, missing[0]), (0, missing[1]), *((0, 0),) * (x.ndim - 2)), **how)
