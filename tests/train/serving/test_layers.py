"""Tiles: together they are the image, and no defect gets lost between them."""

import io

import numpy as np
import pytest
from PIL import Image

from train.display.pictures import class_layer
from train.serving.layers import SIDE, image_tile, label_tile, prediction_tile


def decoded(tile):
    with Image.open(io.BytesIO(tile)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def assembled(draw, array, level):
    """Return all tiles of an image side by side."""
    extent = SIDE * 2.0**level
    rows, columns = (range(int(-(-side // extent))) for side in array.shape[:2])
    lines = [np.concatenate([decoded(draw(array, level, r, c)) for c in columns], 1) for r in rows]
    return np.concatenate(lines, 0)


def blots(shape, seed=0):
    rng = np.random.default_rng(seed)
    classes = np.zeros(shape, np.uint8)
    for _ in range(30):
        row, column = (rng.integers(0, side) for side in shape)
        classes[row : row + rng.integers(1, 60), column : column + rng.integers(1, 60)] = rng.integers(1, 4)
    return classes


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_tiles_of_the_first_level_are_the_image(channels):
    image = np.random.default_rng(0).integers(0, 256, (700, 1100, channels), np.uint8)
    shown = assembled(image_tile, image, 0)
    np.testing.assert_array_equal(shown, image[..., 0] if channels == 1 else image[..., :3])


def test_a_higher_level_shows_means():
    image = np.random.default_rng(0).integers(0, 256, (1024, 512, 1), np.uint8)
    means = image.reshape(256, 4, 128, 4).mean((1, 3))
    np.testing.assert_allclose(assembled(image_tile, image, 2), means, atol=1)


@pytest.mark.parametrize("shape", [(600, 1030), (512, 512), (5, 513)])
def test_outlines_go_on_from_tile_to_tile(shape):
    classes = np.zeros(shape, np.uint8)
    classes[3:, 500:520] = 2  # of one class: which outline is on top depends on areas within a tile
    np.testing.assert_array_equal(assembled(prediction_tile, classes, 0), class_layer(classes, 2))


@pytest.mark.parametrize("level", [-3, -1])
def test_enlarged_tiles_have_the_size_of_the_enlarged_image(level):
    classes = blots((150, 70))
    factor = 2**-level
    shown = assembled(prediction_tile, classes, level)
    assert shown.shape == (150 * factor, 70 * factor, 4)
    inside = (classes > 0).repeat(factor, 0).repeat(factor, 1)
    assert (shown[..., 3] > 0)[inside].all()


@pytest.mark.parametrize("level", [1, 3, 5])
@pytest.mark.parametrize("draw", [prediction_tile, label_tile])
def test_a_defect_of_one_pixel_is_seen_on_a_shrunk_tile(level, draw):
    classes = np.zeros((2000, 2100), np.uint8)
    classes[1234, 987] = 1
    shown = assembled(draw, classes, level)
    assert shown.shape[:2] == (-(-2000 // 2**level), -(-2100 // 2**level))
    assert (shown[..., 3] == 255).sum() > 4


def test_a_label_is_dashed_and_void_is_striped():
    label = np.zeros((100, 100), np.uint8)
    label[20:60, 20:60] = 1
    label[80:, :] = 255
    shown = decoded(label_tile(label, 0, 0, 0))
    assert (shown[30:50, 30:50, 3] == 0).all()  # no tint
    outline = shown[shown[..., 3] == 255]
    assert len(np.unique(outline, axis=0)) == 2
    assert (shown[80:, :, 3] > 100).all()
    assert (shown[:15, :, 3] == 0).all()
