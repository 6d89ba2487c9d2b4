"""Contours of connected components: closed polygons along the edges of their pixels.

Each component has one polygon, which goes once around the centers of the component's pixels, and around no
others. A hole is cut open: from the next pixel on its left that is not in the component, the polygon runs
along the top of the hole's first row, around the hole, and back on the same line.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from train.measures.components import Components

_EAST, _WEST, _NORTH, _SOUTH = range(4)
_LEFT = np.array([_NORTH, _SOUTH, _WEST, _EAST])
"""Direction after a turn to the left."""
_RIGHT = _LEFT[[1, 0, 3, 2]]
"""Direction after a turn to the right."""


class _Sides(NamedTuple):
    """The straight sides of all contours, with the component on the right."""

    starts: np.ndarray
    """First corner (x, y), int [n, 2]."""
    ends: np.ndarray
    """Last corner."""
    directions: np.ndarray
    """From the first to the last corner, [n]."""


def trace_contours(components: Components) -> list[np.ndarray]:
    """Return the polygon of each component, in the order of their numbers.

    Args:
        components: of one class alone; those of two classes may touch.

    Returns:
        Corners (x, y), int [n, 2], clockwise on the screen; (0, 0) is the first corner of the first pixel.
    """
    if not len(components.labels):
        return []
    inside = components.numbers > 0
    sides = _find_sides(inside)
    following = _following_sides(sides)
    first = _first_sides(sides, following)
    outer, holes = (first[sides.directions[first] == direction] for direction in (_EAST, _WEST))
    corners, links = _cut_open(inside, sides, following, holes)
    x, y = sides.starts[outer].T
    polygons = dict(zip(components.numbers[y, x].tolist(), _walks(corners, links, outer), strict=True))
    return [polygons[number] for number in range(1, 1 + len(components.labels))]


def _find_sides(inside: np.ndarray) -> _Sides:
    """Return the sides of all contours of a map, bool [h, w]."""
    padded = np.pad(inside, 1)
    rows, columns = padded[:, 1:-1], padded[1:-1].T
    tops, bottoms = (_spans(a & ~b) for a, b in ((rows[1:], rows[:-1]), (rows[:-1], rows[1:])))
    lefts, rights = (_spans(a & ~b) for a, b in ((columns[1:], columns[:-1]), (columns[:-1], columns[1:])))
    pairs = [  # by direction
        (tops[:, [1, 0]], tops[:, [2, 0]]),
        (bottoms[:, [2, 0]], bottoms[:, [1, 0]]),
        (lefts[:, [0, 2]], lefts[:, [0, 1]]),
        (rights[:, [0, 1]], rights[:, [0, 2]]),
    ]
    starts, ends = (np.concatenate(corners) for corners in zip(*pairs, strict=True))
    return _Sides(starts, ends, np.repeat(range(4), [len(corners) for corners, _ in pairs]))


def _spans(lines: np.ndarray) -> np.ndarray:
    """Return line, start and end of each run of true values in lines, bool [lines, length], int [n, 3]."""
    changes = np.diff(np.pad(lines, ((0, 0), (1, 1))).view(np.int8), axis=1)
    line, start = np.nonzero(changes == 1)
    return np.column_stack([line, start, np.nonzero(changes == -1)[1]])


def _following_sides(sides: _Sides) -> np.ndarray:
    """Return the index of the side that follows each side.

    Where two pixels of a component touch at a corner alone, the contour turns left, so that it holds both.
    """
    keys = _key(sides.directions, sides.starts)
    order = np.argsort(keys)

    def find(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sides that start in these directions where each side ends, and whether there are any."""
        wanted = _key(directions, sides.ends)
        index = order[np.searchsorted(keys[order], wanted).clip(max=len(keys) - 1)]
        return index, keys[index] == wanted

    (left, found), (right, _) = find(_LEFT[sides.directions]), find(_RIGHT[sides.directions])
    return np.where(found, left, right)


def _key(directions: np.ndarray | int, corners: np.ndarray) -> np.ndarray:
    """Return numbers that order directions, then corners by x and y."""
    x, y = corners.astype(np.int64).T
    return (np.int64(directions) << 60) + (x << 30) + y


def _first_sides(sides: _Sides, following: np.ndarray) -> np.ndarray:
    """Return the first side of each contour, from top to bottom and from left to right.

    It is the top of a component's first row, which runs east, or the bottom of the row above a hole, which
    runs west.
    """
    horizontal = np.flatnonzero(sides.directions <= _WEST)
    x, y = np.minimum(sides.starts, sides.ends)[horizontal].T
    horizontal = horizontal[np.lexsort((x, y))]
    graph = sparse.coo_array((np.ones(len(following), bool), (np.arange(len(following)), following)))
    _, contours = csgraph.connected_components(graph, directed=False)
    return horizontal[np.sort(np.unique(contours[horizontal], return_index=True)[1])]


def _cut_open(
    inside: np.ndarray, sides: _Sides, following: np.ndarray, holes: np.ndarray
) -> tuple[np.ndarray, list[int]]:
    """Join the contour of each hole to one on its left.

    Args:
        inside: the map of all components, bool [h, w].
        sides: their sides.
        following: the index of the side after each side.
        holes: the first side of each hole, from top to bottom and from left to right.

    Returns:
        Corners (x, y), int [n, 2], and the index of the corner after each corner.
    """
    x, y = sides.ends[holes].T
    lines, line = np.unique(y, return_inverse=True)
    both = inside[lines - 1] & inside[lines]
    outside = np.maximum.accumulate(np.where(both, -1, np.arange(inside.shape[1], dtype=np.int32)), axis=1)
    cuts = np.column_stack([outside[line, x - 1] + 1, y])
    # The side that the cut meets runs north; that of the last upper end in its column which is not below.
    north = np.flatnonzero(sides.directions == _NORTH)
    met = north[np.searchsorted(_key(0, sides.ends[north]), _key(0, cuts), "right") - 1]
    links, count = following.tolist(), len(following)
    links += [-1] * (3 * len(holes))
    for hole, (first, side) in enumerate(zip(holes.tolist(), met.tolist(), strict=True)):
        there, around, back = range(count + 3 * hole, count + 3 * hole + 3)
        links[back], links[side] = links[side], there
        links[there], links[first], links[around] = links[first], around, back
    added = np.stack([cuts, sides.ends[holes], cuts], 1).reshape(-1, 2)
    return np.concatenate([sides.starts, added]), links


def _walks(corners: np.ndarray, links: list[int], first: np.ndarray) -> list[np.ndarray]:
    """Return the corners of the contour that begins with each of some corners, without repeated ones."""
    path, begins = [], []
    for start in first.tolist():
        begins.append(len(path))
        path.append(start)
        while (index := links[path[-1]]) != start:
            path.append(index)
    walked = corners[path]
    new = np.append(True, (walked[1:] != walked[:-1]).any(1))  # a cut of no length repeats a corner
    return np.split(walked[new], np.cumsum(np.add.reduceat(new, begins, dtype=int))[:-1])
