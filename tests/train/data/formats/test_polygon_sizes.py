"""Sizes that files of shapes claim, and the work that their shapes take."""

import tracemalloc

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.train.data.formats.test_polygons import (
    CLASSES,
    HEIGHT,
    WIDTH,
    box,
    coco,
    expected,
    labelme,
    labels,
    prepared,
    shape,
    write,
)
from train.data.formats.polygons import read_labelme
from train.errors import UserError


@pytest.mark.parametrize("kind", ["LabelMe", "COCO"])
def test_a_size_that_a_file_claims_is_compared_with_the_image_before_memory_is_taken(tmp_path, picture, kind):
    for k in range(8):
        picture(f"images/{k}.png", seed=k)
    claim = {"LabelMe": ("imageHeight", "imageWidth"), "COCO": ("height", "width")}[kind]
    huge = dict.fromkeys(claim, 16384)
    whole = box(0, 0, 16384, 16384)
    if kind == "LabelMe":
        for k in range(8):
            write(tmp_path / f"masks/{k}.json", labelme(shape("pit", whole)) | huge)
        masks, file = tmp_path / "masks", "0"
    else:
        content = coco(
            {"image_id": 7, "category_id": 3, "segmentation": [np.ravel(whole).tolist()]},
            images=[f"{k}.png" for k in range(8)],
        )
        content["images"] = [image | huge for image in content["images"]]
        masks, file = write(tmp_path / "all.json", content), "all"
    tracemalloc.start()
    with pytest.raises(
        UserError, match=rf"{file}\.json: is 16384x16384 pixels but its image 0\.png is 16x12"
    ):
        prepared(tmp_path, masks=str(masks))
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


def test_a_label_of_another_turn_than_its_image_is_read_with_it(tmp_path, picture):
    for k in range(8):
        path = picture(f"images/{k}.jpg", size=(WIDTH, HEIGHT), seed=k)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        Image.open(path).save(path, exif=exif)
        write(tmp_path / f"masks/{k}.json", labelme(shape("pit", box(0, 0, 5, 5))))
    for label in labels(prepared(tmp_path, masks=str(tmp_path / "masks"))).values():
        np.testing.assert_array_equal(label, expected((2, 0, 0, 5, 5)))


@pytest.mark.slow
def test_twenty_thousand_shapes_take_work_by_their_pixels(tmp_path):
    shapes = [shape("pit", box(x, y, x + 3, y + 3)) for x in range(0, 568, 4) for y in range(0, 568, 4)]
    content = labelme(*shapes) | {"imageHeight": 4000, "imageWidth": 4000}
    label = read_labelme(write(tmp_path / "a.json", content), CLASSES)
    assert len(shapes) == 20_164
    assert np.count_nonzero(label) == 9 * len(shapes)


def test_shapes_that_cover_the_image_too_often_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("train.data.formats.polygons._MAX_WORK", 5 * HEIGHT * WIDTH)
    whole = box(0, 0, WIDTH, HEIGHT)
    read_labelme(write(tmp_path / "a.json", labelme(*[shape("pit", whole)] * 5)), CLASSES)
    with pytest.raises(UserError, match=r"a\.json: .*shapes of 1152 pixels in one image"):
        read_labelme(write(tmp_path / "a.json", labelme(*[shape("pit", whole)] * 6)), CLASSES)
