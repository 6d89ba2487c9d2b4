"""What PNG and TIFF files hold beyond 8-bit grey and RGB: 16 bits in colour, and any number of channels.

Pillow narrows such files without a word: it drops the lower 8 bits of a colour, and the channels after the
third. libpng and libtiff, through imagecodecs, do not.
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

from train.errors import UserError

# tifffile's remarks on damaged files, besides the error that becomes a UserError.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class Layout(NamedTuple):
    """What the head of a PNG or TIFF file says."""

    width: int
    height: int
    bits: int
    """Of a sample; the largest where channels differ."""
    channels: int
    """Samples of a pixel; 1 for a palette."""
    separate: bool = False
    """Whether a TIFF holds its channels one after the other."""
    several: bool = False
    """Whether a TIFF holds more than one picture."""
    turned: bool = False
    """Whether a TIFF is to be turned before it is shown."""


def layout(encoded: bytes) -> Layout | None:
    """The layout of a PNG or TIFF file; None for other files.

    Raises:
        Exception: of many kinds, where the head of a file is damaged.
    """
    if is_png(encoded):
        width, height, bits, kind = struct.unpack(">IIBB", encoded[16:26])
        return Layout(width, height, bits, {2: 3, 4: 2, 6: 4}.get(kind, 1))
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


def is_png(encoded: bytes) -> bool:
    """Whether a file begins as PNG files do."""
    return encoded.startswith(b"\x89PNG")


def turned_png(encoded: bytes) -> bool:
    """Whether a PNG is to be turned before it is shown."""
    if not is_png(encoded):
        return False
    image = Image.open(io.BytesIO(encoded), formats=("PNG",))
    image.load()  # what says it may stand behind the pixels
    return image.getexif().get(ExifTags.Base.Orientation, 1) != 1


def read_samples(path: Path, encoded: bytes, here: Layout) -> np.ndarray:
    """The samples of a PNG or TIFF file as they stand.

    Args:
        path: of the file, for messages.
        encoded: its bytes.
        here: its layout.

    Returns:
        uint8 or uint16 [h, w, channels].

    Raises:
        UserError: the file is too large, is stored turned, holds several pictures or no whole numbers.
        Exception: of many kinds, where it is damaged.
    """
    # Pillow refuses pictures of up to four channels by the number of their pixels.
    if here.width * here.height * max(1, here.channels / 4) > (Image.MAX_IMAGE_PIXELS or 0):
        raise Image.DecompressionBombError
    if here.several:
        raise UserError(f"{path}: holds several pictures of {here.channels} channels; save each as a file")
    if here.turned or turned_png(encoded):
        raise UserError(f"{path}: is stored turned; save it upright")
    samples = (imagecodecs.png_decode if is_png(encoded) else imagecodecs.tiff_decode)(encoded)
    if here.separate:
        samples = np.moveaxis(samples, 0, -1)
    if samples.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: holds values of type {samples.dtype}; save it with 8 or 16 bits")
    return samples.reshape(here.height, here.width, here.channels)
