"""Images in memory: their kind, their channels, their PNG file."""

import io

import numpy as np
from PIL import Image


def is_jpeg(encoded: bytes) -> bool:
    """Whether a file begins as JPEG files do."""
    return encoded.startswith(b"\xff\xd8")


def is_grey(pixels: np.ndarray) -> bool:
    """Whether an image [h, w, c] has equal channels everywhere."""
    return bool((pixels == pixels[..., :1]).all())


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 [h, w] or [h, w, c]: grey or RGB, or c channels one below the other in grey."""
    file = io.BytesIO()
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        pixels = np.moveaxis(pixels, -1, 0).reshape(-1, pixels.shape[1])
    Image.fromarray(pixels).save(file, format="PNG", compress_level=4)
    return file.getvalue()


def visible(pixels: np.ndarray) -> np.ndarray:
    """What can be looked at, [h, w, 1 or 3]: the first of two channels, the first three of more."""
    number = pixels.shape[-1]
    return pixels if number in (1, 3) else pixels[..., : 3 if number > 3 else 1]
