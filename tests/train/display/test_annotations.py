"""COCO and LabelMe files of predictions: read again, they are the class maps."""

import json

import numpy as np
import pytest
from scipy import ndimage

from train.data.formats.polygons import Coco, read_labelme
from train.display.predictions import PredictionFiles, prediction_writer
from train.measures.components import find_components

CLASSES = ("background", "scratch", "pit", "spot")


def class_map(seed: int) -> np.ndarray:
    """Classes that touch, with holes, single pixels and components at the border."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    smooth = ndimage.gaussian_filter(rng.normal(size=(4, height, width)), (0, *[rng.choice([0, 0.6, 2])] * 2))
    smooth[0] += rng.choice([0, 0.2])
    return smooth.argmax(0).astype(np.uint8)


def written(tmp_path, maps, *, probabilities=None, name="deep/{}", **files):
    """Write the files of predictions for images of another folder, and return the folder of the results."""
    out = tmp_path / "out"
    with prediction_writer(out, CLASSES, PredictionFiles(**files)) as write:
        for number, classes in enumerate(maps):
            given = np.full((*classes.shape, 4), 0.25, np.float32) if probabilities is None else probabilities
            image = {"image": np.zeros((*classes.shape, 1), np.uint8), "name": name.format(number)}
            write(image | {"path": tmp_path / "images" / f"{image['name']}.jpg"}, classes, given)
    return out


def test_both_files_are_read_as_the_class_maps(tmp_path):
    maps = [class_map(seed) for seed in range(60)]
    out = written(tmp_path, maps, coco=True, labelme=True)
    coco = Coco(out / "coco.json")
    holes = singles = 0
    for number, classes in enumerate(maps):
        np.testing.assert_array_equal(coco.label(f"deep/{number}.jpg", CLASSES), classes)
        np.testing.assert_array_equal(read_labelme(out / f"deep/{number}.json", CLASSES), classes)
        holes += (ndimage.binary_fill_holes(classes == 1) != (classes == 1)).any()
        singles += (find_components(classes, [1]).areas == 1).any()
    assert min(holes, singles) > 5


def test_coco_says_what_and_where_each_defect_is(tmp_path):
    classes = np.zeros((2, 5, 8), np.uint8)
    classes[1, 1:4, 2:5] = 2
    classes[1, 2, 3] = 0
    classes[1, 4, 7] = 1
    probabilities = np.zeros((5, 8, 4), np.float32)
    probabilities[..., 1], probabilities[..., 2] = 0.75, 0.25
    content = json.loads(
        (written(tmp_path, classes, probabilities=probabilities, coco=True) / "coco.json").read_text()
    )
    assert content["categories"] == [{"id": k, "name": CLASSES[k]} for k in (1, 2, 3)]
    assert content["images"] == [
        {"id": k + 1, "file_name": f"deep/{k}.jpg", "height": 5, "width": 8} for k in range(2)
    ]
    spot, ring = content["annotations"]
    assert spot == {
        "id": 1,
        "image_id": 2,
        "category_id": 1,
        "segmentation": [[7, 4, 8, 4, 8, 5, 7, 5]],
        "area": 1,
        "bbox": [7, 4, 1, 1],
        "iscrowd": 0,
        "score": 0.75,
    }
    assert (ring["id"], ring["category_id"], ring["area"], ring["bbox"]) == (2, 2, 8, [2, 1, 3, 3])
    assert len(ring["segmentation"]) == 1
    assert ring["score"] == 0.25


def test_labelme_names_the_image_from_its_own_folder(tmp_path):
    out = written(tmp_path, [np.eye(3, dtype=np.uint8), np.zeros((3, 4), np.uint8)], labelme=True)
    content = json.loads((out / "deep/0.json").read_text())
    assert content["imagePath"] == "../../images/deep/0.jpg"
    assert (content["imageHeight"], content["imageWidth"], content["imageData"]) == (3, 3, None)
    (shape,) = content["shapes"]
    assert (shape["label"], shape["shape_type"], shape["description"]) == (
        "scratch",
        "polygon",
        "probability 0.250",
    )
    assert json.loads((out / "deep/1.json").read_text())["shapes"] == []


def test_a_coco_file_appears_when_all_images_are_done(tmp_path):
    def interrupted():
        yield np.eye(3, dtype=np.uint8)
        assert not (tmp_path / "out/coco.json").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, interrupted(), coco=True)
    assert not (tmp_path / "out/coco.json").exists()
    written(tmp_path, [np.eye(3, dtype=np.uint8)], coco=True)
    assert not list((tmp_path / "out").glob(".*"))


def test_names_that_are_no_text_are_found_again(tmp_path):
    (classes,) = maps = [np.eye(4, dtype=np.uint8)]
    out = written(tmp_path, maps, name='a "b"\udcff', coco=True, labelme=True)
    np.testing.assert_array_equal(Coco(out / "coco.json").label('a "b"\udcff.jpg', CLASSES), classes)
    np.testing.assert_array_equal(read_labelme(out / 'a "b"\udcff.json', CLASSES), classes)


def test_without_an_image_the_coco_file_is_empty_but_whole(tmp_path):
    assert json.loads((written(tmp_path, [], coco=True) / "coco.json").read_text())["annotations"] == []
