"""Checksums in image files, which decoders skip: a flipped bit would become other pixels without an error.

PNG has one for each chunk, and TIFF one for each strip or tile that is compressed by deflate. JPEG, BMP and
other TIFFs have none, so that damage to their pixels stays unnoticed unless it breaks the format.
"""

import io
import zlib
from typing import Any

import tifffile
from PIL import Image
from PIL.TiffImagePlugin import PREFIXES

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEFLATE = (8, 32946)
"""Values of TIFF's tag for the compression."""
_BLOCK = 2**20
"""Bytes that are decompressed at once."""


def check_sums(encoded: bytes) -> None:
    """Check the checksums of a PNG or TIFF file; other files have none.

    Raises:
        ValueError: a checksum is wrong, or the file ends early.
        Exception: of many kinds, where the file is damaged otherwise.
    """
    if encoded.startswith(_SIGNATURE):
        _check_chunks(memoryview(encoded))
    elif encoded.startswith(tuple(PREFIXES)):
        _check_strips(encoded)


def _check_chunks(encoded: memoryview) -> None:
    """Check the CRC of each chunk of a PNG; what follows the last chunk is no part of the image."""
    start, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(encoded[start : start + 4], "big")
        end = start + 8 + length
        if end + 4 > len(encoded):
            raise ValueError("cut off")
        kind = bytes(encoded[start + 4 : start + 8])
        if zlib.crc32(encoded[start + 4 : end]) != int.from_bytes(encoded[end : end + 4], "big"):
            raise ValueError(f"wrong checksum of chunk {kind.decode('ascii', 'replace')}")
        start = end + 4


def _check_strips(encoded: bytes) -> None:
    """Check the Adler-32 of each strip and tile of a TIFF that is compressed by deflate."""
    room = 8 * (Image.MAX_IMAGE_PIXELS or 0)
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        for k in range(len(file.pages)):
            page: Any = file.pages[k]
            if page.tags.valueof("Compression") not in _DEFLATE or page.tags.valueof("FillOrder", 1) != 1:
                continue
            for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                if length:  # a strip without bytes is for the decoder to refuse
                    room -= _check_stream(encoded[offset : offset + length], room)


def _check_stream(compressed: bytes, room: int) -> int:
    """Decompress a stream block by block, which checks its Adler-32, and return its size.

    Raises:
        ValueError: the stream is cut off.
        zlib.error: the stream is damaged.
        DecompressionBombError: its size is more than `room`.
    """
    stream, size = zlib.decompressobj(), 0
    while not stream.eof:
        block = stream.decompress(compressed, _BLOCK)
        compressed, size = stream.unconsumed_tail, size + len(block)
        if not (block or compressed or stream.eof):
            raise ValueError("a compressed strip is cut off")
        if size > room:
            raise Image.DecompressionBombError
    return size
