"""Label images for pictures of masks and losses: two generated ones, and a small crop of a real one."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter

from train.data.sets.surface import paint

SIDE = 96
"""Pixels of each label image."""
_SURFACE = 37
"""Seed of a surface with all three defects."""
_DRAWN_STAIN = ((14, 60), (20, 44), (38, 38), (52, 45), (57, 61), (46, 77), (27, 80))
_DRAWN_CRACK = ((30, 8), (44, 16), (55, 15), (68, 24), (74, 38), (86, 45), (90, 60))
_BLOB = 44
"""Seed of the shape with an imprecise outline."""
_WALL = Path(__file__).with_name("topomortar")


class Labeled(NamedTuple):
    """A label image over an image, with the names of its classes."""

    title: str
    image: np.ndarray
    """uint8 [SIDE, SIDE, 1 or 3]."""
    label: np.ndarray
    """Class ids, uint8 [SIDE, SIDE]."""
    classes: tuple[str, ...]
    accurate: np.ndarray | None = None
    """What the label should be, where that is known and differs."""


class Outlined(NamedTuple):
    """A shape, and what an annotator made of it."""

    distance: np.ndarray
    """Signed distance to the outline of the shape in pixels, positive inside, float64 [SIDE, SIDE]."""
    shape: np.ndarray
    """1 inside the shape, 0 outside, uint8 [SIDE, SIDE]."""
    label: np.ndarray
    """The same as it was labeled: a polygon of few corners, each off by a few pixels."""


def labels() -> list[Labeled]:
    """Return a generated surface, two shapes as drawn by hand, and a crop of a wall with its noisy label."""
    image, label = paint(np.random.default_rng(_SURFACE), SIDE)
    surface = Labeled("generated surface", image[..., None], label, ("background", "scratch", "spot", "pit"))
    canvas = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(canvas)
    draw.polygon(_DRAWN_STAIN, fill=1)
    draw.line(_DRAWN_CRACK, fill=2, width=2)
    blank = np.full((SIDE, SIDE, 1), 200, np.uint8)
    drawn = Labeled("shapes drawn by hand", blank, np.asarray(canvas), ("background", "stain", "crack"))
    image, noisy, accurate = (_wall(name) for name in ("image", "noisy", "accurate"))
    wall = Labeled("a wall and its noisy label", image, noisy, ("brick", "mortar"), accurate)
    return [surface, drawn, wall]


def _wall(name: str) -> np.ndarray:
    with Image.open(_WALL / f"{name}.png") as image:
        return np.array(image, np.uint8)


def outlined() -> Outlined:
    """Return a smooth shape and its label with an imprecise outline."""
    rng = np.random.default_rng(_BLOB)
    field = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 7)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    inside = 24 + 5 * field / field.std() - np.hypot(y, x) > 0
    distance = np.asarray(distance_transform_edt(inside)) - np.asarray(distance_transform_edt(~inside))
    angles = np.arange(11) * 2 * np.pi / 11
    corners = [_edge(inside, angle) + rng.normal(0, 2.5) for angle in angles]
    polygon = [
        (SIDE / 2 + r * np.cos(a), SIDE / 2 + r * np.sin(a)) for r, a in zip(corners, angles, strict=True)
    ]
    canvas = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(canvas).polygon(polygon, fill=1)
    return Outlined(distance, inside.astype(np.uint8), np.asarray(canvas))


def _edge(inside: np.ndarray, angle: float) -> float:
    """Return the distance from the center to the outermost pixel of a shape in one direction."""
    steps = np.arange(0, SIDE / 2 - 1)
    rows, columns = (SIDE / 2 + steps * f(angle) for f in (np.sin, np.cos))
    return float(steps[inside[rows.astype(int), columns.astype(int)]].max())
