"""The pixels of a drawn outline: those whose center it contains, or if there are none, those it touches."""

import numpy as np

_EDGES = 256
"""Edges of an outline that are followed at once."""
_CROSSINGS = 2**20
"""Crossings of edges with rows of pixels that are found at once, at least."""
_LONGEST = 2**27
"""Most pixels and rows that the edges of an outline may cross: some seconds of work."""
_INWARD = 1e-6
"""Fraction of the way to the middle of an outline by which its edges are moved, so that an edge on the border
of two pixels touches the inner one."""


class OutsideError(ValueError):
    """No part of an outline lies in the image."""


def draw(label: np.ndarray, points: np.ndarray, class_id: int) -> int:
    """Set the pixels of a closed outline in a label, and return how many pixels were looked at.

    Args:
        label: class ids, [h, w].
        points: vertices (x, y), float64 [n, 2]; (0, 0) is the corner of the first pixel, (.5, .5) its center.
        class_id: new value of the pixels.

    Raises:
        OutsideError: it touches no pixel of the label.
        ValueError: the outline is too long.
    """
    size = np.array(label.shape[::-1], float)
    if not len(points):
        return 0
    low = np.clip(np.floor(points.min(0)), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(0)), 0, size).astype(int)
    pixels = touched = 0
    if len(points) > 2 and (high > low).all():
        contained = _contained(points, low, high)
        label[low[1] : high[1], low[0] : high[0]][contained] = class_id
        pixels = contained.size
        if contained.any():
            return pixels
    middle = points.clip(0, size).mean(0)
    starts, ends = _clip_edges(points, np.roll(points, -1, axis=0), size)
    _check_length(np.abs(ends - starts).sum())
    for first in range(0, len(starts), _EDGES):
        edges = slice(first, first + _EDGES)
        places = _places_in_pixels(starts[edges], ends[edges])
        x, y = np.minimum(places + _INWARD * (middle - places), size - 1).astype(int).T
        label[y, x] = class_id
        touched += len(x)
    if not touched:
        raise OutsideError
    return pixels + touched


def _contained(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which pixels of a box have their center in an outline, by the even-odd rule, bool [h, w].

    A center on the border is inside where the border is on the left or at the top.
    """
    width, height = high - low
    starts = points - low - 0.5  # now the centers are whole numbers
    ends = np.roll(starts, -1, axis=0)
    upper, lower = (np.ceil(f(starts[:, 1], ends[:, 1])).clip(0, height) for f in (np.minimum, np.maximum))
    counts = (lower - upper).astype(int)  # of the rows whose centers an edge crosses
    _check_length(counts.sum())
    crossed = np.zeros((height, width + 1), np.uint8)
    totals = np.cumsum(counts)
    blocks = np.searchsorted(totals, np.arange(0, totals[-1], _CROSSINGS), side="right")
    for block in np.split(np.arange(len(counts)), blocks[1:]):
        edge = np.repeat(block, counts[block])
        nth = np.arange(len(edge)) - np.repeat(np.cumsum(counts[block]) - counts[block], counts[block])
        row = upper[edge] + nth
        way = (row - starts[edge, 1]) / (ends[edge, 1] - starts[edge, 1])
        x = starts[edge, 0] + way * (ends[edge, 0] - starts[edge, 0])
        np.add.at(crossed, (row.astype(int), np.ceil(x).clip(0, width).astype(int)), 1)
    return np.cumsum(crossed, 1, np.uint8)[:, :width] % 2 == 1


def _check_length(crossed: float) -> None:
    if crossed > _LONGEST:
        raise ValueError(f"an outline that crosses {crossed:.0f} pixels or rows")


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
