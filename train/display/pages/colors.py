"""Colors as "#rrggbb", of classes, lines and bars."""

import numpy as np

from train.display.pictures import class_colors

NEUTRAL = "#8c8b85"
"""Gray, as far from the light paper as from the dark one."""
_YELLOW = 3
"""Position among the class colors; a yellow line is faint on light paper."""


def hex_colors(colors: np.ndarray) -> list[str]:
    """Return colors, uint8 [n, 3], as "#rrggbb"."""
    return ["#{:02x}{:02x}{:02x}".format(*color) for color in colors.tolist()]


def series_colors(count: int) -> list[str]:
    """Return so many colors for lines or bars: those of the classes, with yellow after the six others."""
    colors = hex_colors(class_colors(max(count, 7) + 1))
    colors.insert(6, colors.pop(_YELLOW))
    return colors[:count]
