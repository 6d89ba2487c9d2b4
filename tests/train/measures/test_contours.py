"""Contours of components, filled again."""

import numpy as np
import pytest
from scipy import ndimage

from train.measures.components import Components, find_components
from train.measures.contours import trace_contours

RING = ["#####", "#.#.#", "##.##", "#...#", "#####"]
"""Two holes of a pixel and one of four, which touch each other at corners."""


def components(rows) -> Components:
    return find_components(np.array([[c == "#" for c in row] for row in rows], np.uint8), [1])


def winding_numbers(polygon: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """How often a polygon goes around each pixel: edges on its left that run up, less those that run down."""
    (x, y), (_, ends) = polygon.T, np.roll(polygon, -1, axis=0).T
    crossed = np.zeros((shape[0], shape[1] + 1), int)
    for column, start, end in zip(x, y, ends, strict=True):
        crossed[min(start, end) : max(start, end), column] += np.sign(start - end)
    return np.cumsum(crossed, 1)[:, :-1]


def check(found: Components) -> None:
    polygons = trace_contours(found)
    assert len(polygons) == len(found.labels)
    for number, polygon in enumerate(polygons, 1):
        # 1 and 0: filled alike by the even-odd rule and by that of nonzero winding numbers.
        around = winding_numbers(polygon, found.numbers.shape)
        np.testing.assert_array_equal(around, found.numbers == number)
        x, y = polygon.T.astype(int)
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() == 2 * found.areas[number - 1]
        steps = np.roll(polygon, -1, axis=0) - polygon
        assert ((steps == 0).sum(1) == 1).all()  # along an axis, and to another corner


def test_a_pixel_has_its_four_corners_clockwise():
    (polygon,) = trace_contours(components([".....", "..#..", "....."]))
    assert polygon.tolist() == [[2, 1], [3, 1], [3, 2], [2, 2]]


def test_straight_sides_have_no_corners_between_their_ends():
    (polygon,) = trace_contours(components(["####", "####", "##.."]))
    assert polygon.tolist() == [[0, 0], [4, 0], [4, 2], [2, 2], [2, 3], [0, 3]]


def test_pixels_that_touch_at_a_corner_have_one_contour():
    (polygon,) = trace_contours(components(["#..", ".#.", "#.."]))
    assert len(polygon) == 12


def test_a_hole_is_cut_open_to_its_left():
    (polygon,) = trace_contours(components(["####", "##.#", "####"]))
    outline, hole = [[0, 0], [4, 0], [4, 3], [0, 3]], [[2, 1], [2, 2], [3, 2], [3, 1], [2, 1]]
    assert polygon.tolist() == [*outline, [0, 1], *hole, [0, 1]]


@pytest.mark.parametrize(
    "rows",
    [RING, ["#"], ["."], ["#.#"], ["###", "#.#", "###"], ["#######", "#.#.#.#", "#######"], ["##", "##"]],
    ids="".join,
)
def test_drawn_components_are_filled_again(rows):
    check(components(rows))


def test_a_component_within_the_hole_of_another_has_a_contour_of_its_own():
    found = components(["#####", "#...#", "#.#.#", "#...#", "#####"])
    assert sorted(map(len, trace_contours(found))) == [4, 11]
    check(found)


def test_random_components_are_filled_again():
    rng = np.random.default_rng(0)
    holes = 0
    for trial in range(200):
        size, density = rng.integers(1, 24, 2), rng.random()
        inside = rng.random(size) < density
        if trial % 2:
            inside = ndimage.gaussian_filter(rng.normal(size=size), 1) > rng.normal(0, 0.1)
        check(find_components(inside.astype(np.uint8), [1]))
        holes += (ndimage.binary_fill_holes(inside) != inside).any()
    assert holes > 50
