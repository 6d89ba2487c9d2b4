"""Image files that tests write."""

import io
import struct
import zlib
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
from PIL import Image


def save(image: Image.Image, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def encoded(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    chunks = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT", b"IEND"
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def png(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(values))


def pages(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    first, *others = (Image.fromarray(np.ascontiguousarray(values[..., k])) for k in range(values.shape[-1]))
    first.save(file, "tiff", save_all=True, append_images=others)
    return file.getvalue()


_GRAY, _RGB = 1, 2
"""Photometric interpretations of a TIFF."""


def tiff(values: np.ndarray, order: Literal["<", ">"] = "<", separate: bool = False, **changes: int) -> bytes:
    """A TIFF without compression of values [h, w, c]; `changes` are tags such as t256=9."""
    height, width, number = values.shape
    data = np.moveaxis(values, -1, 0) if separate else values
    data = data.astype(values.dtype.newbyteorder(order)).tobytes()
    bits = 8 * values.itemsize
    plane = len(data) // number if separate else len(data)
    planes = number if separate else 1
    tags = {
        256: [width], 257: [height], 258: [bits] * number, 259: [1], 262: [_RGB if number == 3 else _GRAY],
        273: [8 + k * plane for k in range(planes)], 277: [number], 278: [height], 279: [plane] * planes,
        284: [2 if separate else 1], 339: [1] * number,
    }  # fmt: skip
    if number not in (1, 3):
        tags[338] = [0] * (number - 1)
    tags |= {int(tag[1:]): [value] for tag, value in changes.items()}
    directory, more = struct.pack(order + "H", len(tags)), b""
    behind = 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}L", *numbers)
        if len(numbers) > 1:
            packed, more = struct.pack(order + "L", behind + len(more)), more + packed
        directory += struct.pack(order + "HHL", tag, 4, len(numbers)) + packed
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", 8 + len(data))
    return head + data + directory + bytes(4) + more
