"""Decoders print nothing beside the error, on the stderr of the process too, where libtiff prints."""

import io

import numpy as np
import pytest
from PIL import Image

from train.data.formats.images import read_image
from train.errors import UserError


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_a_damaged_tiff_is_refused_in_silence(compression, tmp_path, capfd):
    pixels = np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8) * 255
    image = Image.fromarray(pixels)
    stream = io.BytesIO()
    (image.convert("1") if compression == "group4" else image).save(stream, "TIFF", compression=compression)
    encoded, refused = stream.getvalue(), 0
    for position in range(8, len(encoded), len(encoded) // 40):
        damaged = bytearray(encoded)
        damaged[position] ^= 0xFF
        (tmp_path / "a.tif").write_bytes(damaged)
        try:
            read_image(tmp_path / "a.tif")
        except UserError:
            refused += 1
    assert refused > 3
    assert capfd.readouterr() == ("", "")
