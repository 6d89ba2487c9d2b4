"""Images on the page of a report."""

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from tests.train.display.report.pictures import cost_picture, picture
from train.display.report.images import cost_frame, half_cost_fraction, picture_frame


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_small_image_is_lossless_under_enlarged_layers():
    small = picture("a", 0.25, (48, 64))
    frame = picture_frame(small)
    assert (frame.name, frame.width, frame.height, frame.small, frame.iou) == ("a", 64, 48, True, 0.25)
    np.testing.assert_array_equal(np.asarray(decoded(frame.image)), small.image[..., 0])
    for layer in (frame.label, frame.prediction):
        assert (decoded(layer).mode, decoded(layer).size) == ("RGBA", (448, 336))


def test_a_large_image_is_shrunk_and_becomes_jpeg():
    frame = picture_frame(picture("a", size=(500, 1000), channels=3))
    assert not frame.small
    assert frame.image.startswith("data:image/jpeg;")
    assert decoded(frame.image).size == (400, 200)
    assert decoded(frame.label).size == (800, 400)


def test_costs_are_drawn_before_and_after_training():
    costly = cost_picture("a")
    before, after = cost_frame(costly).heatmaps
    assert (before.time, after.time) == ("before", "after")
    assert before.mean == pytest.approx(np.nanmean(costly.before))
    assert after.mean == 0
    assert decoded(before.picture).size == (400, 320)


def test_the_cost_of_a_void_image_is_undefined():
    void = cost_picture("a")._replace(before=np.full((3, 4), np.nan))
    heatmap = cost_frame(void).heatmaps[0]
    assert math.isnan(heatmap.mean)
    assert heatmap.half is None


def test_half_of_the_cost_lies_on_the_costliest_pixels():
    assert half_cost_fraction(np.ones((4, 5))) == 0.5
    assert half_cost_fraction(np.array([[4.0, 3.0, 1.0, np.nan]])) == pytest.approx(1 / 3)
    for cost in (np.zeros((2, 2)), np.full((2, 2), np.nan), np.full((2, 2), np.inf)):
        assert half_cost_fraction(cost) is None
