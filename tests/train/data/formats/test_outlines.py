"""Outlines that contain the center of no pixel."""

import numpy as np
import pytest
from matplotlib.path import Path

from train.data.formats.outlines import OutsideError, draw

HEIGHT, WIDTH = 12, 16


def marked_pixels(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    label = np.zeros(shape, np.uint8)
    try:
        draw(label, points, 1)
    except OutsideError:
        assert not label.any()
    else:
        assert label.any() or not len(points)
    return label == 1


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def circle(x: float, y: float, radius: float) -> list[list[float]]:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return [[x + radius * np.cos(angle), y + radius * np.sin(angle)] for angle in angles]


def pixels(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Pixels of boxes (left, top, right, bottom)."""
    marked = np.zeros((HEIGHT, WIDTH), bool)
    for left, top, right, bottom in boxes:
        marked[top:bottom, left:right] = True
    return marked


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (box(2, 3.6, 14, 4.4), pixels((2, 3, 14, 5))),  # a scratch thinner than a pixel
        (box(2, 3, 14, 3.4), pixels((2, 3, 14, 4))),  # on the borders of pixels
        (box(2, 3.6, 14, 4), pixels((2, 3, 14, 4))),
        (box(5.6, 6.6, 6.4, 7.4), pixels((5, 6, 7, 8))),
        (circle(8, 6, 0.4), pixels((7, 5, 9, 7))),
        (circle(8.2, 6.2, 0.1), pixels((8, 6, 9, 7))),
        (circle(8.2, 6.2, 0), pixels((8, 6, 9, 7))),
        ([[1, 1], [5, 5]], pixels(*((k, k, k + 1, k + 1) for k in range(1, 5)))),
        ([[1, 5], [5, 1]], pixels(*((k, 5 - k, k + 1, 6 - k) for k in range(1, 5)))),
        (box(2, 3, 7, 3), pixels((2, 3, 7, 4))),  # a rectangle of height 0
        (box(2, HEIGHT, 7, HEIGHT), pixels((2, HEIGHT - 1, 7, HEIGHT))),  # at the edge
        ([[3.2, 4.7]], pixels((3, 4, 4, 5))),
        (box(-5, -5, 0.3, 2), pixels((0, 0, 1, 2))),  # only its margin is on the image
        ([[-1e9, 2.2], [1e9, 2.2]], pixels((0, 2, WIDTH, 3))),
        ([[20, 1], [25, 5]], pixels()),
        ([], pixels()),
    ],
)
def test_an_outline_without_centers_marks_the_pixels_it_touches(points, expected):
    marked = marked_pixels(np.array(points, float).reshape(-1, 2), (HEIGHT, WIDTH))
    np.testing.assert_array_equal(marked, expected)


def test_an_outline_with_centers_marks_these_alone():
    np.testing.assert_array_equal(
        marked_pixels(np.array(box(2.4, 3.4, 4.6, 4.6)), (HEIGHT, WIDTH)), pixels((2, 3, 5, 5))
    )


@pytest.mark.parametrize("seed", range(20))
def test_touched_pixels_are_those_of_points_along_the_edges(seed):
    rng = np.random.default_rng(seed)
    points = np.concatenate([line := rng.uniform(-4, 20, (2, 2)), line[::-1]])
    marked = marked_pixels(points, (HEIGHT, WIDTH))
    along = line[0] + np.linspace(0, 1, 100_001)[:, None] * (line[1] - line[0])
    x, y = np.floor(along).astype(int).T
    inside = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[y[inside], x[inside]] = True
    np.testing.assert_array_equal(marked, expected)


def test_an_outline_of_many_points_is_followed_in_blocks():
    x = np.linspace(1, 15, 1000)
    points = np.column_stack([x, 3.2 + 0.1 * np.sin(x)])
    np.testing.assert_array_equal(
        marked_pixels(np.concatenate([points, points[::-1]]), (HEIGHT, WIDTH)), pixels((1, 3, 15, 4))
    )


@pytest.mark.parametrize("seed", range(20))
def test_contained_centers_are_those_of_matplotlib(seed):
    points = np.random.default_rng(seed).uniform(-4, 20, (3 + seed, 2))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    contained = Path(points, closed=False).contains_points(np.column_stack([x.ravel(), y.ravel()]))
    np.testing.assert_array_equal(marked_pixels(points, (HEIGHT, WIDTH)), contained.reshape(HEIGHT, WIDTH))


def test_a_center_on_the_border_belongs_to_the_outline_on_its_right_and_below():
    for points in (box(2.5, 3.5, 7.5, 5.5), box(2.5, 3.5, 7.5, 5.5)[::-1]):
        np.testing.assert_array_equal(marked_pixels(np.array(points), (HEIGHT, WIDTH)), pixels((2, 3, 7, 5)))


def test_crossings_are_found_in_blocks(monkeypatch):
    points = np.random.default_rng(0).uniform(-4, 20, (200, 2))
    whole = marked_pixels(points, (HEIGHT, WIDTH))
    monkeypatch.setattr("train.data.formats.outlines._CROSSINGS", 7)
    np.testing.assert_array_equal(marked_pixels(points, (HEIGHT, WIDTH)), whole)


def test_an_outline_of_a_million_points_takes_work_by_its_points():
    angles = np.linspace(0, 2 * np.pi, 10**6, endpoint=False)
    points = 500 + 400 * np.column_stack([np.cos(angles), np.sin(angles)])
    label = np.zeros((1000, 1000), np.uint8)
    assert draw(label, points, 1) == 800 * 800
    y, x = np.mgrid[:1000, :1000] + 0.5
    np.testing.assert_array_equal(label, (x - 500) ** 2 + (y - 500) ** 2 < 400**2)


@pytest.mark.parametrize("ends", [(3.2, 3.2), (0.0, 1000.0)], ids=["along", "across"])
def test_an_outline_that_crosses_too_many_pixels_is_refused(ends):
    points = np.column_stack([np.tile([0.0, 1000.0], 10**5), np.tile(ends, 10**5)])
    with pytest.raises(ValueError, match=r"crosses \d+ pixels or rows"):
        draw(np.zeros((1000, 1000), np.uint8), points, 1)
