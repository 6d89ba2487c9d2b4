"""Image files as they come from cameras and disks: decoded, or refused with one clear line."""

import io
import logging
import warnings
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from train.data.example import Decoding
from train.data.formats.deep_images import layout, read_samples
from train.data.pixels import is_jpeg, png_bytes
from train.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""What counts as an image file, in small or capital letters."""

# What Pillow says about damaged files, beside the error that becomes the one line.
logging.getLogger("PIL").setLevel(logging.CRITICAL)

# Named, because Pillow would try every format it knows, and one of them runs Ghostscript on the file.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
_DEFAULT = Decoding()
ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""How whole files end."""
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
"""TIFF's tag for what numbers mean, and one of its values."""


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UserError: it is missing, may not be read, or is something else, such as a folder.
    """
    try:
        if path.exists() and not path.is_file():  # to read a pipe would take for ever
            raise UserError(f"{path}: is no file; remove it")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); mend it or remove it") from error


def open_image(path: Path) -> Image.Image:
    """A picture decoded in full, in its own mode.

    Raises:
        UserError: the file cannot be read, is no image, is damaged, is larger than Pillow takes for harmless,
            holds several pictures, or is of a kind that Pillow reads wrong.
    """
    return decoded(path, read_bytes(path))


def decoded(path: Path, encoded: bytes) -> Image.Image:
    """The picture that the bytes of a file hold, in full; refused as `open_image` says."""
    with damage_refused(path, encoded):
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
        image.load()
        several = image.format == "TIFF" and getattr(image, "n_frames", 1) > 1
    if several:
        raise UserError(f"{path}: holds several pictures; save each as a file of its own")
    check_kind(path, image, encoded)
    return image


def check_kind(path: Path, image: Image.Image, encoded: bytes) -> None:
    """Refuses the kinds of files that Pillow 13 reads, but not as they are meant.

    Raises:
        UserError: it is one of them.
    """
    if image.format == "BMP" and image.mode == "1" and encoded[28] != 1:
        # It takes the bytes of a black and white palette for bits.
        raise UserError(f"{path}: is a BMP of two colours that is not read reliably; save it as PNG")
    with damage_refused(path, encoded):
        here = layout(encoded)
    if here is not None and here.bits > 8 and len(image.getbands()) > 1:
        # It drops the lower 8 bits.
        raise UserError(f"{path}: has {here.bits} bits a channel; save it with 8")
    if image.mode.startswith("I") and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise UserError(f"{path}: is a TIFF in which 0 is white; save it with 0 as black")


@contextmanager
def damage_refused(path: Path, encoded: bytes) -> Iterator[None]:
    """Turns what Pillow raises over the content of a file into a UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that no pixel depends on
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except UserError:
        raise
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


def read_picture(path: Path, decoding: Decoding = _DEFAULT) -> tuple[np.ndarray, bytes]:
    """A photograph as viewers show it, turned as its EXIF orientation says.

    Args:
        path: of the file.
        decoding: with `levels`, values between them become 1 to 254 in even steps; without, images of more
            than 8 bits are refused, because cameras fill 10, 12 or 16 of 16 bits. With `channels`, the file
            must have that number, alpha and each page of a TIFF being one; without, it must be grey or RGB.

    Returns:
        pixels: uint8 [h, w, 1] for grey pictures, [h, w, 3] for RGB; [h, w, channels] where that is given.
        encoded: a file of these pixels as `Example` takes it; the file's own bytes where they will do.

    Raises:
        UserError: the file is not readable in this way without guessing, or is refused by `open_image`.
    """
    pixels, own = read_pixels(path, decoding)
    return pixels, own or png_bytes(pixels)


def read_pixels(path: Path, decoding: Decoding = _DEFAULT) -> tuple[np.ndarray, bytes | None]:
    """The same, but without making a file: where the file's own bytes will not do, there are none."""
    encoded = read_bytes(path)
    own, channels = None, decoding.channels
    values = read_channels(path, encoded, channels)
    if values is None:
        values, own = read_shown(path, encoded, as_they_stand=channels is not None)
    number = values.shape[-1]
    if channels is not None and number != channels:
        raise UserError(f"{path}: has {number} channels, not the {channels} of --data.channels")
    if channels is None and number not in (1, 3):
        raise UserError(f"{path}: has {number} channels; to use them all pass --data.channels {number}")
    return to_8_bits(path, values, decoding.levels), own


class Head(NamedTuple):
    """What the head of a file says of its picture."""

    size: tuple[int, int]
    """Height and width."""
    kind: Hashable
    """Equal for files that `read_picture` takes, or refuses, alike, as far as the head can tell."""


def read_head(path: Path) -> Head | None:
    """The head of a JPEG or PNG; None for other files, and where in doubt: if it may be turned or is cut off.

    Raises:
        UserError: the file cannot be read.
    """
    encoded = read_bytes(path)
    try:
        with damage_refused(path, encoded):
            image = Image.open(io.BytesIO(encoded), formats=FORMATS)
            if image.format == "PNG":
                # Pillow decodes the pixels to see whether there is EXIF behind them.
                turned = any(chunk in encoded for chunk in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"))
            else:
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            kind = (image.format, image.mode, "transparency" in image.info, *(layout(encoded) or ())[2:])
    except UserError:
        return None
    whole = encoded.endswith(ENDS.get(image.format or "", ()))
    return None if turned or not whole else Head((image.height, image.width), kind)


def read_channels(path: Path, encoded: bytes, channels: int | None) -> np.ndarray | None:
    """Values uint8 or uint16 [h, w, c] of what Pillow does not read as one picture; None where it does.

    Raises:
        UserError: the file is refused by `read_samples` or `read_pages`, or is damaged.
    """
    with damage_refused(path, encoded):
        here = layout(encoded)
        if here is None:
            return None
        if here.channels > 1 and (
            here.bits > 8 or channels not in (None, 3) or bands(encoded) != here.channels
        ):
            return read_samples(path, encoded, here)
        return read_pages(path, encoded, channels) if here.several and channels is not None else None


def bands(encoded: bytes) -> int:
    """How many channels Pillow would read; 0 if it cannot."""
    try:
        return len(Image.open(io.BytesIO(encoded), formats=FORMATS).getbands())
    except UnidentifiedImageError:
        return 0


def read_pages(path: Path, encoded: bytes, most: int) -> np.ndarray:
    """The grey pages of a TIFF as channels, uint8 or uint16 [h, w, c]; `most` of them, or one more.

    Raises:
        UserError: a page is not grey, or not like the first.
        Exception: of many kinds, where the file is damaged.
    """
    image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    first = image.size, image.mode
    pages = []
    for place in range(min(getattr(image, "n_frames", 1), most + 1)):
        image.seek(place)
        if image.mode not in ("L", "I;16", "I;16B") or (image.size, image.mode) != first:
            raise UserError(f"{path}: its pages are not all grey and alike; save each as a file of its own")
        image.load()
        check_kind(path, image, encoded)
        pages.append(np.asarray(image))
    pages = np.stack(pages, -1)
    return pages.astype(pages.dtype.newbyteorder("="))


def read_shown(path: Path, encoded: bytes, *, as_they_stand: bool) -> tuple[np.ndarray, bytes | None]:
    """A picture as Pillow reads it.

    Returns:
        values: uint8 [h, w, c], or uint16 [h, w, 1].
        own: the file's bytes where they are a JPEG or PNG of just these values; else None.

    Raises:
        UserError: it is neither grey nor RGB without transparency and is not to be taken as it stands, or is
            refused by `open_image`.
    """
    image = decoded(path, encoded)
    with damage_refused(path, encoded):
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return deep_grey(path, upright), None
    if not (as_they_stand and upright.mode in ("LA", "RGBA", "CMYK")):
        upright = opaque(upright, path)
        if upright.mode in ("1", "P"):
            upright = upright.convert("RGB")
        if upright.mode not in ("L", "RGB"):
            raise UserError(
                f"{path}: is neither grey nor RGB but {describe_mode(upright.mode)}; convert it first"
            )
    values = np.asarray(upright)
    as_it_is = not turned and image.mode == upright.mode and (is_jpeg(encoded) or image.format == "PNG")
    kept = as_it_is and upright.mode in ("L", "RGB")
    return values.reshape(*values.shape[:2], -1), encoded if kept else None


def deep_grey(path: Path, image: Image.Image) -> np.ndarray:
    """A grey image of more than 8 bits, uint16 [h, w, 1].

    Raises:
        UserError: its values do not fit into 16 bits, or one of them stands for transparent.
    """
    if image.has_transparency_data:
        raise UserError(f"{path}: is partly transparent; save it without transparency")
    values = np.asarray(image)[..., None]
    if values.min() < 0 or values.max() > 65535:
        raise UserError(f"{path}: has values from {values.min()} to {values.max()}; save it with 16 bits")
    return values.astype(np.uint16)


def to_8_bits(path: Path, values: np.ndarray, levels: tuple[int, int] | None) -> np.ndarray:
    """Values of any shape: uint8 as they are, uint16 with `levels` as 0 and 255, as uint8.

    Raises:
        UserError: there are more than 8 bits and no levels.
    """
    if values.dtype == np.uint8:
        return values
    if levels is None:
        raise UserError(
            f"{path}: has more than 8 bits (values up to {values.max()}); say with --data.levels what "
            "is black and what white, such as 0 4095 of a camera with 12 bits"
        )
    black, white = levels
    shares = (np.arange(2**16) - black) / (white - black)
    return np.round(255 * shares.clip(0, 1)).astype(np.uint8)[values]


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
