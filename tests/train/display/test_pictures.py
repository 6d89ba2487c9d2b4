"""Overlays: what is small stays visible, what is large hides nothing."""

import numpy as np
import pytest

from train.display.pictures import class_colors, class_layer, enlarge, heat_colors, heatmap, overlay


def gray(height: int = 40, width: int = 60, channels: int = 1) -> np.ndarray:
    return np.full((height, width, channels), 128, np.uint8)


def visibly_changed(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Where an overlay differs from its picture by more than anyone overlooks."""
    return np.abs(overlay(image, label).astype(int) - image).max(-1) > 30


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_without_defects_stays_as_it_is(channels):
    out = overlay(gray(channels=channels), np.zeros((40, 60), np.uint8))
    assert out.shape == (40, 60, 3)
    assert out.dtype == np.uint8
    assert (out == 128).all()


@pytest.mark.parametrize("class_id", [1, 4, 7, 20])
def test_a_defect_of_one_pixel_is_outlined(class_id):
    label = np.zeros((40, 60), np.uint8)
    label[10, 10] = class_id
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    out = overlay(gray(), label)
    assert (out[9:12, 9:12][ring] == class_colors(21)[class_id - 1]).all()
    assert visibly_changed(gray(), label).sum() >= 8


def test_a_defect_of_one_pixel_is_seen_in_a_large_picture_shown_small():
    label = np.zeros((2000, 2000), np.uint8)
    label[1000, 1000] = 1
    opacity = class_layer(label)[..., 3].reshape(250, 8, 250, 8).mean((1, 3))  # as 250 pixels show it
    assert opacity.max() > 128


def test_a_small_defect_within_a_large_one_is_not_painted_over():
    label = np.ones((40, 60), np.uint8)
    label[20, 30] = 2
    out = overlay(gray(), label)
    assert (out[19, 29:32] == class_colors(3)[1]).all()
    tinted = out[20, 30].astype(int)
    assert np.abs(tinted - 128).max() < np.abs(class_colors(3)[1].astype(int) - 128).max()


def test_the_inside_of_a_defect_is_tinted_and_its_texture_kept():
    image = gray()
    image[:, ::2] = 100
    label = np.zeros((40, 60), np.uint8)
    label[10:30, 10:50] = 1
    inside = overlay(image, label)[15:25, 15:45].astype(int)
    assert (inside != image[15:25, 15:45]).any(-1).all()
    assert (np.abs(np.diff(inside, axis=1)) >= 20).all()


def test_void_is_striped_in_gray():
    label = np.zeros((40, 60), np.uint8)
    label[:, 30:] = 255
    out = overlay(gray(), label)
    assert (out[:, :30] == 128).all()
    assert len(np.unique(out[:, 30:])) == 2
    assert (out == out[..., :1]).all()


def test_all_void_is_drawn():
    assert class_layer(np.full((5, 5), 255, np.uint8))[..., 3].all()


def test_colors_are_distinct_and_do_not_depend_on_the_number_of_classes():
    colors = class_colors(31)
    assert colors.shape == (30, 3)
    assert len({tuple(color) for color in colors.tolist()}) == 30
    assert (class_colors(4) == colors[:3]).all()
    assert class_colors(1).shape == (0, 3)


def test_enlarging_repeats_pixels_and_leaves_large_pictures_alone():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    large = enlarge(image, 8)
    assert large.shape == (6, 9, 1)
    assert (large[::3, ::3] == image).all()
    assert (large[:3, :3] == image[0, 0]).all()
    assert enlarge(image, 3).shape == enlarge(image, 2).shape == image.shape


def test_heatmaps_are_relative_to_the_mean_and_grows_lighter():
    shades = heat_colors(np.array([0.0, 0.1, 1.0, 10.0, 100.0, 1e4])).astype(int).sum(-1)
    assert shades[0] == shades[1] < shades[2] < shades[3] < shades[4] == shades[5]
    cost = np.random.default_rng(0).exponential(size=(5, 6)) ** 4
    np.testing.assert_array_equal(heatmap(cost), heat_colors(cost / cost.mean()))
    np.testing.assert_array_equal(heatmap(cost), heatmap(1024 * cost))


def test_a_heatmap_without_any_cost_is_dark_and_void_is_striped():
    cost = np.zeros((30, 40))
    assert (heatmap(cost) == heat_colors(0.0)).all()
    cost[:20] = np.nan
    drawn = heatmap(cost)
    assert set(np.unique(drawn[:20])) == {112, 160}
    assert (drawn[20:] == heat_colors(0.0)).all()
    assert set(np.unique(heatmap(np.full((30, 40), np.nan)))) == {112, 160}
    assert heatmap(np.full((3, 4), np.inf)).shape == (3, 4, 3)
