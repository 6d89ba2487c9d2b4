"""Image files from cameras and disks: decoded, or refused by a UserError of one line that names the file."""

import io
import warnings
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from train.data.example import DEFAULT_DECODING, Decoding, Size
from train.data.files import read_bytes
from train.data.formats.checksums import check_sums
from train.data.formats.deep_images import read_layout, read_samples, stored_size
from train.data.formats.quiet import silence_decoders
from train.data.pixels import is_jpeg, png_bytes
from train.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Extensions of image files, in lower or upper case."""

silence_decoders()

# Without a list, Pillow tries all its formats, and one of them runs Ghostscript on the file.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
_BIG_ENDIAN_BIGTIFF = b"MM\x00+"
"""First bytes of big-endian BigTIFF, which Pillow does not identify; only `read_samples` reads it."""
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""Last bytes of complete files."""
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
"""TIFF's tag for the photometric interpretation, and one of its values."""
_SAMPLE_FORMAT, _SIGNED = 339, (2,)
"""TIFF's tag for the kind of numbers, and one of its values."""
_LOSSY = ("jpeg", "tiff_jpeg", "webp", "tiff_sgilog", "tiff_sgilog24")
"""Compressions of a TIFF that change values, by Pillow's names."""


def open_image(path: Path, *, exact: bool = False) -> Image.Image:
    """Return an image decoded in full, in the mode of its file, rotated by its EXIF orientation.

    Args:
        path: of the file.
        exact: whether the values are used as they are, so that files whose compression changes them, such as
            JPEG, are refused.

    Raises:
        UserError: the file cannot be read, is no image, is damaged, has more pixels than Pillow accepts,
            holds several images, or is of a kind that Pillow reads wrongly.
    """
    encoded = _read_checked(path)
    image = _decoded(path, encoded)
    if exact and (is_jpeg(encoded) or image.info.get("compression") in _LOSSY):
        raise UserError(
            f"{path}: is compressed by JPEG or the like, which changes values; save it as PNG, or if it is "
            "black and white pass --data.threshold 127"
        )
    with _refuse_damage(path, encoded):
        return ImageOps.exif_transpose(image)


def read_image(path: Path, decoding: Decoding = DEFAULT_DECODING) -> tuple[np.ndarray, bytes]:
    """Return an image as viewers show it, rotated by its EXIF orientation.

    Args:
        path: of the file.
        decoding: with `levels`, values between them become 1 to 254 in even steps; without, images of more
            than 8 bits are refused, because cameras use 10, 12 or 16 of 16 bits. With `channels`, the file
            must have that number, where alpha and each page of a TIFF count as one; without, it must be gray
            or RGB.

    Returns:
        pixels: uint8 [h, w, 1] for gray images, [h, w, 3] for RGB; [h, w, channels] where that is given.
        encoded: a file of these pixels as `Example` takes it; the content of the given file if possible.

    Raises:
        UserError: the file cannot be read in this way without guessing, or is refused by `open_image`.
    """
    pixels, encoded = read_pixels(path, decoding)
    return pixels, encoded or png_bytes(pixels)


def read_pixels(path: Path, decoding: Decoding = DEFAULT_DECODING) -> tuple[np.ndarray, bytes | None]:
    """Return the pixels of `read_image`, and the content of the file if it is a file of these pixels."""
    encoded = _read_checked(path)
    unchanged, channels = None, decoding.channels
    values = _read_channels(path, encoded, channels)
    if values is None:
        values, unchanged = _read_with_pillow(path, encoded, any_channels=channels is not None)
    number = values.shape[-1]
    if channels is not None and number != channels:
        raise UserError(f"{path}: has {number} channels, not the {channels} of --data.channels")
    if channels is None and number not in (1, 3):
        raise UserError(f"{path}: has {number} channels; to use them all pass --data.channels {number}")
    return _to_8_bits(path, values, decoding.levels), unchanged


def read_size(path: Path) -> Size:
    """Return height and width in the head of an image file, before it is turned as its orientation says.

    Raises:
        UserError: the file cannot be read, is no image, or is too large.
    """
    encoded = read_bytes(path)
    with _refuse_damage(path, encoded):
        return stored_size(path, encoded, _FORMATS)


class Head(NamedTuple):
    """Properties of an image in the head of its file."""

    size: Size
    kind: Hashable
    """Equal for files that `read_image` accepts, or refuses, alike, as far as the head can tell."""


def read_head(path: Path) -> Head | None:
    """Return the head of a JPEG or PNG; None for other files and for files that may be rotated or cut off.

    Raises:
        UserError: the file cannot be read.
    """
    encoded = read_bytes(path)
    try:
        with _refuse_damage(path, encoded):
            image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
            if image.format == "PNG":
                # Pillow decodes the pixels to find an orientation that is stored after them.
                rotated = any(chunk in encoded for chunk in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"))
            else:
                rotated = _is_rotated(image)
            layout = read_layout(encoded) or ()
            kind = (image.format, image.mode, "transparency" in image.info, *layout[2:])
    except UserError:
        return None
    complete = encoded.endswith(_ENDS.get(image.format or "", ()))
    return None if rotated or not complete else Head((image.height, image.width), kind)


def without_alpha(image: Image.Image, path: Path) -> Image.Image:
    """Return an image without its alpha channel, which must be opaque everywhere.

    Raises:
        UserError: some of the image is transparent.
    """
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        raise UserError(f"{path}: is partly transparent; save it without an alpha channel")
    return rgba.convert("L" if image.mode in ("L", "LA") else "RGB")


def describe_mode(mode: str) -> str:
    """Return a mode of Pillow in words, where its name needs any."""
    words = {"I;16": "16-bit gray", "I;16B": "16-bit gray", "I": "32-bit gray", "F": "floating point"}
    return words.get(mode, mode)


def _read_checked(path: Path) -> bytes:
    """Return the content of an image file whose checksums, if it has any, are right."""
    encoded = read_bytes(path)
    with _refuse_damage(path, encoded):
        stored_size(path, encoded, _FORMATS)
        check_sums(encoded)
    return encoded


def _decoded(path: Path, encoded: bytes) -> Image.Image:
    """Decode the content of a file in full; refuses what `open_image` refuses."""
    with _refuse_damage(path, encoded):
        image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
        image.load()
        several = image.format == "TIFF" and getattr(image, "n_frames", 1) > 1
    if several:
        raise UserError(f"{path}: holds several images; save each as a file of its own")
    _check_kind(path, image, encoded)
    if _is_signed(image):
        signed = Image.fromarray(np.asarray(image).view(np.int8).astype(np.int32))
        signed.info = image.info
        return signed
    return image


def _is_signed(image: Image.Image) -> bool:
    """Return whether an image is a TIFF with values of -128 to 127, of which Pillow shows -1 as 255."""
    return image.mode == "L" and getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT) == _SIGNED


def _check_kind(path: Path, image: Image.Image, encoded: bytes) -> None:
    """Refuse the kinds of files that Pillow 13 reads wrongly.

    Raises:
        UserError: the file is of such a kind.
    """
    if image.format == "BMP" and image.mode == "1" and encoded[28] != 1:
        # Pillow takes the bytes of a black and white palette for bits.
        raise UserError(f"{path}: is a BMP of two colors that is not read reliably; save it as PNG")
    with _refuse_damage(path, encoded):
        layout = read_layout(encoded)
    if layout is not None and layout.bits > 8 and len(image.getbands()) > 1:
        # Pillow drops the lower 8 bits.
        raise UserError(f"{path}: has {layout.bits} bits per channel; save it with 8")
    if image.mode.startswith("I") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise UserError(f"{path}: is a TIFF in which 0 is white; save it with 0 as black")


@contextmanager
def _refuse_damage(path: Path, encoded: bytes) -> Iterator[None]:
    """Turn the errors of Pillow and tifffile over the content of a file into a UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that no pixel depends on
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except UserError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path}: has more than {Image.MAX_IMAGE_PIXELS} pixels; cut it into smaller images"
        ) from error
    # Decoders raise OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error and more.
    except Exception as error:
        if isinstance(error, UnidentifiedImageError) and encoded.startswith(_BIG_ENDIAN_BIGTIFF):
            what = "is a big-endian BigTIFF of a kind that is not read"
            raise UserError(f"{path}: {what}; save it as TIFF") from error
        raise UserError(f"{path}: {_describe_damage(encoded, error)}; replace or remove it") from error


def _describe_damage(encoded: bytes, error: Exception) -> str:
    """Return the reason why a file could not be decoded."""
    if not encoded:
        return "is empty"
    if isinstance(error, UnidentifiedImageError):
        return "is no PNG, JPEG, BMP or TIFF image"
    return f"is damaged ({error})"


def _is_rotated(image: Image.Image) -> bool:
    """Return whether the EXIF orientation rotates or mirrors an image."""
    return image.getexif().get(ExifTags.Base.Orientation, 1) != 1


def _read_channels(path: Path, encoded: bytes, channels: int | None) -> np.ndarray | None:
    """Return values uint8 or uint16 [h, w, c] of files that Pillow does not read as one image; else None.

    Raises:
        UserError: the file is refused by `read_samples` or `_read_pages`, or is damaged.
    """
    with _refuse_damage(path, encoded):
        layout = read_layout(encoded)
        if layout is None:
            return None
        if layout.channels > 1 and (
            layout.bits > 8 or channels not in (None, 3) or _count_bands(encoded) != layout.channels
        ):
            return read_samples(path, encoded, layout)
        return _read_pages(path, encoded, channels) if layout.several and channels is not None else None


def _count_bands(encoded: bytes) -> int:
    """Return the number of channels that Pillow would read; 0 if it cannot read the file."""
    try:
        return len(Image.open(io.BytesIO(encoded), formats=_FORMATS).getbands())
    except UnidentifiedImageError:
        return 0


def _read_pages(path: Path, encoded: bytes, channels: int) -> np.ndarray:
    """Return the gray pages of a TIFF as channels, uint8 or uint16 [h, w, c]; c at most `channels` + 1.

    Raises:
        UserError: a page is not gray, or differs from the first in size or mode.
        Exception: of many kinds, where the file is damaged.
    """
    image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
    first = image.size, image.mode
    pages = []
    for index in range(min(getattr(image, "n_frames", 1), channels + 1)):
        image.seek(index)
        gray = image.mode in ("L", "I;16", "I;16B") and not _is_signed(image)
        if not gray or (image.size, image.mode) != first:
            raise UserError(f"{path}: its pages are not all gray and alike; save each as a file of its own")
        image.load()
        _check_kind(path, image, encoded)
        pages.append(np.asarray(image))
    pages = np.stack(pages, -1)
    return pages.astype(pages.dtype.newbyteorder("="))


def _read_with_pillow(path: Path, encoded: bytes, *, any_channels: bool) -> tuple[np.ndarray, bytes | None]:
    """Return the values of an image that Pillow reads in full.

    Args:
        path: of the file, for messages.
        encoded: its content.
        any_channels: whether alpha and the inks of CMYK are taken as channels.

    Returns:
        values: uint8 [h, w, c], or uint16 [h, w, 1].
        unchanged: the content of the file if it is a JPEG or PNG of just these values; else None.

    Raises:
        UserError: the image is neither gray nor RGB without transparency nor of `any_channels`, or is refused
            by `open_image`.
    """
    image = _decoded(path, encoded)
    with _refuse_damage(path, encoded):
        rotated = _is_rotated(image)
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return _deep_gray_values(path, upright), None
    if not (any_channels and upright.mode in ("LA", "RGBA", "CMYK")):
        upright = without_alpha(upright, path)
        if upright.mode in ("1", "P"):
            upright = upright.convert("RGB")
        if upright.mode not in ("L", "RGB"):
            kind = describe_mode(upright.mode)
            raise UserError(f"{path}: is neither gray nor RGB but {kind}; convert it first")
    values = np.asarray(upright)
    unchanged = (
        not rotated
        and image.mode == upright.mode
        and upright.mode in ("L", "RGB")
        and (is_jpeg(encoded) or image.format == "PNG")
    )
    return values.reshape(*values.shape[:2], -1), encoded if unchanged else None


def _deep_gray_values(path: Path, image: Image.Image) -> np.ndarray:
    """Return the values of a gray image of more than 8 bits, uint16 [h, w, 1].

    Raises:
        UserError: a value does not fit into 16 bits, or stands for transparent pixels.
    """
    if image.has_transparency_data:
        raise UserError(f"{path}: is partly transparent; save it without transparency")
    values = np.asarray(image)[..., None]
    if values.min() < 0 or values.max() > 65535:
        raise UserError(f"{path}: has values from {values.min()} to {values.max()}; save it with 16 bits")
    return values.astype(np.uint16)


def _to_8_bits(path: Path, values: np.ndarray, levels: tuple[int, int] | None) -> np.ndarray:
    """Return values as uint8: uint8 unchanged, uint16 scaled so that `levels` become 0 and 255.

    Raises:
        UserError: values are uint16 and there are no levels.
    """
    if values.dtype == np.uint8:
        return values
    if levels is None:
        raise UserError(
            f"{path}: has more than 8 bits (values up to {values.max()}); say with --data.levels which "
            "values are black and white, such as 0 4095 of a camera with 12 bits"
        )
    black, white = levels
    scaled = (np.arange(2**16) - black) / (white - black)
    return np.round(255 * scaled.clip(0, 1)).astype(np.uint8)[values]
