"""Colors of lines and bars."""

from train.display.pages.rendering import hex_colors
from train.display.pictures import class_colors

NEUTRAL = "#8c8b85"
"""Gray, as far from the light paper as from the dark one."""
_YELLOW = 3
"""Position among the class colors; a yellow line is faint on light paper."""


def series_colors(count: int) -> list[str]:
    """Return so many colors as "#rrggbb": those of the classes, with yellow after the six others."""
    colors = hex_colors(class_colors(max(count, 7) + 1))
    colors.insert(6, colors.pop(_YELLOW))
    return colors[:count]
