"""The pixels of a drawn outline: those whose center it contains, or if there are none, those it touches."""

import numpy as np
from matplotlib.path import Path as Outline

_EDGES = 256
"""Edges of an outline that are followed at once."""
_INWARD = 1e-6
"""Fraction of the way to the middle of an outline by which its edges are moved, so that an edge on the border
of two pixels touches the inner one."""


def marked_pixels(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels of a closed outline, bool [h, w].

    Args:
        points: vertices (x, y), float64 [n, 2]; (0, 0) is the corner of the first pixel, (.5, .5) its center.
        shape: (height, width) of the image.
    """
    marked = np.zeros(shape, bool)
    if not len(points):
        return marked
    low = np.clip(np.floor(points.min(0)), 0, shape[::-1]).astype(int)
    high = np.clip(np.ceil(points.max(0)), 0, shape[::-1]).astype(int)
    if len(points) > 2 and (high > low).all():
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        contained = Outline(points, closed=False).contains_points(np.column_stack([x.ravel(), y.ravel()]))
        marked[low[1] : high[1], low[0] : high[0]] = contained.reshape(x.shape)
        if contained.any():
            return marked
    size = np.array(shape[::-1], float)
    middle = points.clip(0, size).mean(0)
    following = np.roll(points, -1, axis=0)
    for first in range(0, len(points), _EDGES):
        edges = slice(first, first + _EDGES)
        starts, ends = _clip_edges(points[edges], following[edges], size)
        places = _places_in_pixels(starts, ends)
        x, y = np.minimum(places + _INWARD * (middle - places), size - 1).astype(int).T
        marked[y, x] = True
    return marked


def _clip_edges(starts: np.ndarray, ends: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of the parts of edges within an image of a size (width, height), float64 [m, 2]."""
    steps = ends - starts
    with np.errstate(all="ignore"):
        first, last = -starts / steps, (size - starts) / steps
    # An edge along an axis is within the image's other dimension everywhere or nowhere.
    within = (starts >= 0) & (starts <= size)
    enters = np.where(steps == 0, np.where(within, 0, np.inf), np.minimum(first, last)).max(1).clip(0)
    leaves = np.where(steps == 0, np.where(within, 1, -np.inf), np.maximum(first, last)).min(1).clip(max=1)
    inside = enters <= leaves
    starts, steps = starts[inside], steps[inside]
    enters, leaves = enters[inside, None], leaves[inside, None]
    return (starts + enters * steps).clip(0, size), (starts + leaves * steps).clip(0, size)


def _places_in_pixels(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the middle of the part of each edge in each pixel that it crosses, float64 [m, 2]."""
    steps, numbers = ends - starts, np.arange(len(starts))
    edges, ways = [numbers, numbers], [np.zeros(len(starts)), np.ones(len(starts))]
    for axis in range(2):  # the borders of pixels between both ends
        before = np.floor(np.minimum(starts, ends)[:, axis])
        counts = np.maximum(np.ceil(np.maximum(starts, ends)[:, axis]) - before - 1, 0).astype(int)
        crossing = np.repeat(numbers, counts)
        nth = np.arange(len(crossing)) - np.repeat(np.cumsum(counts) - counts, counts)
        edges.append(crossing)
        ways.append((before[crossing] + 1 + nth - starts[crossing, axis]) / steps[crossing, axis])
    edge, way = np.concatenate(edges), np.concatenate(ways)
    order = np.lexsort((way, edge))
    edge, way = edge[order], way[order]
    # Parts shorter than rounding lie in the corner of a pixel that is not crossed.
    parts = (edge[1:] == edge[:-1]) & (way[1:] - way[:-1] > 1e-9)
    middles = (way[1:] + way[:-1])[parts, None] / 2
    return starts[edge[1:][parts]] + middles * steps[edge[1:][parts]]
