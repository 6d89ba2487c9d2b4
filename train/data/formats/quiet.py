"""Decoders that print nothing beside the UserErrors of this package."""

import contextlib
import ctypes
import logging

from PIL import Image


def silence_decoders() -> None:
    """Keep Pillow, and the libtiff that it is linked with, from printing remarks on damaged files."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with contextlib.suppress(OSError, AttributeError):  # a Pillow without libtiff, or with a hidden one
        # The symbols of a library are looked for in those that it is linked with, too.
        pillow = ctypes.CDLL(Image.core.__file__)
        pillow.TIFFSetErrorHandler(None)
        pillow.TIFFSetWarningHandler(None)
