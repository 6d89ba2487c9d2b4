"""Image files as they come from cameras and disks: decoded, or refused with one clear line."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from train.data.builder import is_jpeg, png_bytes
from train.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""What counts as an image file, in small or capital letters."""

# Named, because Pillow would try every format it knows, and one of them runs Ghostscript on the file.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UserError: it is missing or may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); mend it or remove it") from error


def open_image(path: Path) -> tuple[Image.Image, bytes]:
    """A picture decoded in full, in its own mode, and the bytes of its file.

    Raises:
        UserError: the file cannot be read, is no image, is damaged, is larger than Pillow takes for harmless,
            or holds several pictures.
    """
    encoded = read_bytes(path)
    with damage_refused(path, encoded):
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
        image.load()
        several = image.format == "TIFF" and getattr(image, "n_frames", 1) > 1
    if several:
        raise UserError(f"{path}: holds several pictures; save each as a file of its own")
    if image.format == "BMP" and image.mode == "1" and encoded[28] != 1:
        # Pillow 13 takes the bytes of a black and white palette for bits.
        raise UserError(f"{path}: is a BMP of two colours that is not read reliably; save it as PNG")
    return image, encoded


@contextmanager
def damage_refused(path: Path, encoded: bytes) -> Iterator[None]:
    """Turns what Pillow raises over the content of a file into a UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that no pixel depends on
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path}: has more than {Image.MAX_IMAGE_PIXELS} pixels; cut it into smaller pictures"
        ) from error
    # Its decoders raise OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error and more.
    except Exception as error:
        raise UserError(f"{path}: {complaint(encoded, error)}; replace or remove it") from error


def complaint(encoded: bytes, error: Exception) -> str:
    """What is wrong with a file that a decoder gave up on."""
    if not encoded:
        return "is empty"
    if isinstance(error, UnidentifiedImageError):
        return "is no PNG, JPEG, BMP or TIFF image"
    return f"is damaged ({error})"


def read_picture(path: Path) -> tuple[np.ndarray, bytes]:
    """A photograph as viewers show it, turned as its EXIF orientation says.

    Returns:
        pixels: uint8 [h, w, 1] for grey pictures, else [h, w, 3].
        encoded: a JPEG or PNG file of these pixels; the file's own bytes where they will do.

    Raises:
        UserError: the file is not readable as 8-bit grey or RGB without guessing (16 bits, CMYK,
            transparency), or is refused by `open_image`.
    """
    image, encoded = open_image(path)
    with damage_refused(path, encoded):
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        upright = ImageOps.exif_transpose(image)
    upright = opaque(upright, path)
    if upright.mode in ("1", "P"):
        upright = upright.convert("RGB")
    if upright.mode not in ("L", "RGB"):
        raise UserError(
            f"{path}: is neither 8-bit grey nor RGB but {describe_mode(upright.mode)}; convert it first"
        )
    pixels = np.asarray(upright)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    as_it_is = not turned and image.mode == upright.mode and (is_jpeg(encoded) or image.format == "PNG")
    return pixels, encoded if as_it_is else png_bytes(pixels)


def check_sizes(image: Path, pixels: np.ndarray, mask: Path, label: np.ndarray) -> None:
    """Refuses a mask whose label [h, w] is not as large as the pixels [h, w, c] of its image.

    Raises:
        UserError: names the mask and both sizes.
    """
    if pixels.shape[:2] != label.shape:
        shown, labelled = ("x".join(map(str, array.shape[1::-1])) for array in (pixels, label))
        raise UserError(
            f"{mask}: is {labelled} pixels but its image {image.name} is {shown}; make both the same size"
        )


def opaque(image: Image.Image, path: Path) -> Image.Image:
    """The image without an alpha channel that says nothing.

    Raises:
        UserError: some of it is transparent.
    """
    if not image.has_transparency_data:
        return image
    shown = image.convert("RGBA")
    if shown.getchannel("A").getextrema() != (255, 255):
        raise UserError(f"{path}: is partly transparent; save it without an alpha channel")
    return shown.convert("L" if image.mode in ("L", "LA") else "RGB")


def describe_mode(mode: str) -> str:
    """Pillow's name of a pixel format in words, where it needs any."""
    return {"I;16": "16-bit grey", "I;16B": "16-bit grey", "I": "32-bit grey", "F": "floating point"}.get(
        mode, mode
    )
