"""PNG and TIFF files beyond 8-bit gray and RGB: 16 bits per channel in color, and any number of channels.

Pillow narrows such files silently: it drops the lower 8 bits of a color, and the channels after the third.
Here tifffile reads the layout of a TIFF, and libpng and libtiff, through imagecodecs, decode all samples.
"""

import io
import logging
import struct
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import PREFIXES

from train.data.example import Size
from train.errors import UserError

# tifffile logs remarks on damaged files, besides the error that becomes a UserError.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


_LONGEST_SIDE = 10**6
"""Most pixels of a side: a single row or column within Pillow's limit of pixels would take minutes."""


class Layout(NamedTuple):
    """Properties of the pixels in the head of a PNG or TIFF file."""

    width: int
    height: int
    bits: int
    """Bits per sample; the largest number where channels differ."""
    channels: int
    """Samples per pixel; 1 for a palette."""
    separate: bool = False
    """Whether a TIFF stores its channels in separate planes."""
    several: bool = False
    """Whether a TIFF holds more than one image."""
    rotated: bool = False
    """Whether viewers rotate or mirror a TIFF."""


def read_layout(encoded: bytes) -> Layout | None:
    """Return the layout of a PNG or TIFF file; None for other files.

    Raises:
        Exception: of many kinds, where the head of the file is damaged.
    """
    if _is_png(encoded):
        width, height, bits, color_type = struct.unpack(">IIBB", encoded[16:26])
        return Layout(width, height, bits, {2: 3, 4: 2, 6: 4}.get(color_type, 1))
    if not encoded.startswith(tuple(PREFIXES)):
        return None
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        page = file.pages.first
        return Layout(
            page.imagewidth,
            page.imagelength,
            np.max(page.bitspersample).item(),
            page.samplesperpixel,
            page.planarconfig == tifffile.PLANARCONFIG.SEPARATE,
            len(file.pages) > 1,
            page.tags.valueof("Orientation", 1) != 1,
        )


def stored_size(path: Path, encoded: bytes, formats: tuple[str, ...]) -> Size:
    """Return height and width in the head of an image file.

    Args:
        path: of the file, for messages.
        encoded: its content.
        formats: that Pillow may read.

    Raises:
        UserError: a side is too long.
        Exception: of many kinds, where the head of the file is damaged.
    """
    layout = read_layout(encoded)
    width, height = layout[:2] if layout else Image.open(io.BytesIO(encoded), formats=formats).size
    if max(width, height) > _LONGEST_SIDE:
        raise UserError(
            f"{path}: is {width}x{height} pixels; cut it into images of at most {_LONGEST_SIDE} a side"
        )
    return height, width


def read_samples(path: Path, encoded: bytes, layout: Layout) -> np.ndarray:
    """Return the samples of a PNG or TIFF file as stored.

    Args:
        path: of the file, for messages.
        encoded: its content.
        layout: its layout.

    Returns:
        uint8 or uint16 [h, w, channels].

    Raises:
        UserError: the file is too large, is stored rotated, holds several images or no whole numbers.
        Exception: of many kinds, where the file is damaged.
    """
    # Pillow limits the number of pixels of images with up to four channels.
    if layout.width * layout.height * max(1, layout.channels / 4) > (Image.MAX_IMAGE_PIXELS or 0):
        raise Image.DecompressionBombError
    if layout.several:
        raise UserError(f"{path}: holds several images of {layout.channels} channels; save each as a file")
    if layout.rotated or _is_rotated_png(encoded):
        raise UserError(f"{path}: is stored rotated; save it upright")
    samples = (imagecodecs.png_decode if _is_png(encoded) else imagecodecs.tiff_decode)(encoded)
    if layout.separate:
        samples = np.moveaxis(samples, 0, -1)
    if samples.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: holds values of type {samples.dtype}; save it with 8 or 16 bits")
    return samples.reshape(layout.height, layout.width, layout.channels)


def _is_png(encoded: bytes) -> bool:
    """Return whether a file begins with the signature of PNG."""
    return encoded.startswith(b"\x89PNG")


def _is_rotated_png(encoded: bytes) -> bool:
    """Return whether viewers rotate or mirror a PNG; False for other files."""
    if not _is_png(encoded):
        return False
    image = Image.open(io.BytesIO(encoded), formats=("PNG",))
    image.load()  # the orientation may be stored after the pixels
    return image.getexif().get(ExifTags.Base.Orientation, 1) != 1
