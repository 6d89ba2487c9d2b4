"""No class takes the column of another class, or of anything else."""

import csv
import json

import numpy as np
import pytest

from train.display.columns import distinct_columns
from train.display.predictions import PredictionFiles, prediction_writer


def test_a_column_has_the_name_of_its_class_where_it_can():
    assert distinct_columns("class", ["pit", "scratch"], ["image", "score"]) == ["pit", "scratch"]
    assert distinct_columns("class", ["score", "image"], ["image", "score"]) == ["class score", "class image"]
    names = ["image", "class image", "class class image"]
    assert len({"image", *distinct_columns("class", names, ["image"])}) == 4


def test_the_columns_of_a_class_have_suffixes():
    suffixes = ("", "_deviation")
    assert distinct_columns("class", ["iou_deviation"], ["iou", "iou_deviation"], suffixes) == [
        "class iou_deviation"
    ]
    assert distinct_columns("class", ["a", "a_deviation"], [], suffixes) == ["a", "class a_deviation"]


@pytest.mark.parametrize("as_json", [False, True])
def test_classes_called_image_and_score_leave_the_columns_of_images(tmp_path, as_json):
    names = ("background", "image", "score")
    probabilities = np.full((2, 3, 3), [0.5, 0.3, 0.2])
    with prediction_writer(tmp_path, names, PredictionFiles(json=as_json)) as write:
        write(
            {"image": np.zeros((2, 3, 1), np.uint8), "name": "a"}, np.zeros((2, 3), np.uint8), probabilities
        )
    if as_json:
        row = json.loads((tmp_path / "images.jsonl").read_text())
    else:
        with (tmp_path / "images.csv").open(newline="") as file:
            [row] = csv.DictReader(file)
    assert row.pop("image") == "a"
    assert {name: float(value) for name, value in row.items()} == {
        "score": 0.5,
        "class image": 0.3,
        "class score": 0.2,
    }
