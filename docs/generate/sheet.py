"""A sheet of pictures in rows, with a heading above each column."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 256
"""Pixels of a side of each picture."""
_GAP, _HEADING = 6, 32


def sheet(headings: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Return the sheet; pictures are uint8 [SIDE, SIDE, 3]."""
    gaps = ((0, _GAP), (0, _GAP), (0, 0))
    bands = [np.concatenate([np.pad(x, gaps, constant_values=255) for x in row], axis=1) for row in rows]
    pixels = np.concatenate(bands)
    picture = Image.new("RGB", (pixels.shape[1], _HEADING + pixels.shape[0]), "white")
    picture.paste(Image.fromarray(pixels), (0, _HEADING))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(24)
    for column, heading in enumerate(headings):
        draw.text((column * (SIDE + _GAP) + 2, 3), heading, fill="black", font=font)
    return picture
