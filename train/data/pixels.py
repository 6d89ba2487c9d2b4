"""Images in memory and in files: JPEG or not, gray or not, as PNG, reduced to displayed channels."""

import io

import numpy as np
from PIL import Image


def is_jpeg(encoded: bytes) -> bool:
    """Return whether a file begins with the marker of JPEG."""
    return encoded.startswith(b"\xff\xd8")


def is_gray(pixels: np.ndarray) -> bool:
    """Return whether all channels of an image [h, w, c] are equal."""
    return bool((pixels == pixels[..., :1]).all())


def png_bytes(pixels: np.ndarray) -> bytes:
    """Return uint8 [h, w] or [h, w, c] as a PNG file: gray, RGB, or c gray channels below one another."""
    file = io.BytesIO()
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        pixels = np.moveaxis(pixels, -1, 0).reshape(-1, pixels.shape[1])
    Image.fromarray(pixels).save(file, format="PNG", compress_level=4)
    return file.getvalue()


def channels_to_display(pixels: np.ndarray) -> np.ndarray:
    """Return the displayed channels, [h, w, 1 or 3]: of two the first, of four and more the first three."""
    channels = pixels.shape[-1]
    return pixels if channels in (1, 3) else pixels[..., : 3 if channels > 3 else 1]


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return an image [h, w, c] with so many channels: a gray one among RGB, an RGB one among gray.

    Raises:
        ValueError: neither number is 1 or 3.
    """
    if pixels.shape[-1] != channels:
        image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)
