"""COCO files in which an annotation would be lost: each is refused, and names what is wrong."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from train.data.formats.polygons import Coco
from train.errors import UserError

CLASSES = ("background", "scratch", "pit")
HEIGHT, WIDTH = 12, 16


def coco(*annotations: dict[str, Any], file_name: str = "a.png") -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": file_name, "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 3, "name": "pit"}, {"id": 5, "name": "scratch"}],
        "annotations": list(annotations),
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def shapes_of(**changes: Any) -> dict[str, Any]:
    polygon = [2, 3, 7, 3, 7, 5, 2, 5]
    return coco({"id": 41, "image_id": 7, "category_id": 3, "segmentation": [polygon]} | changes)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            shapes_of(segmentation=[], bbox=[1, 1, 3, 3]),
            "annotation 41 has no segmentation; draw its outline",
        ),
        (shapes_of(segmentation=[[]]), "annotation 41 has no segmentation"),
        (shapes_of(segmentation=None), "annotation 41 has no segmentation"),
        (
            coco({"image_id": 7, "category_id": 3, "bbox": [1, 1, 3, 3]}),
            "annotation number 1 has no segmentation",
        ),
        (shapes_of(image_id="7"), "annotation 41 is of image id '7', which no image has; mend"),
        (shapes_of(image_id=70), "annotation 41 is of image id 70, which no image has"),
        (
            shapes_of(segmentation={"counts": [0, HEIGHT * WIDTH], "size": [WIDTH, HEIGHT]}),
            r"annotation 41 is of size \[16, 12\] but its image of \[12, 16\], height first; export",
        ),
        (
            shapes_of(segmentation={"counts": [HEIGHT * WIDTH]}),
            "annotation 41 holds no pixel; draw its outline",
        ),
        (
            shapes_of()
            | {"images": [*shapes_of()["images"], shapes_of()["images"][0] | {"file_name": "b.png"}]},
            "has image id 7 twice, for a.png and b.png; give each its own id",
        ),
        (
            shapes_of() | {"categories": [{"id": 3, "name": "pit"}, {"id": 3, "name": "scratch"}]},
            "has category id 3 twice, for pit and scratch; give each its own id",
        ),
    ],
)
def test_no_annotation_is_lost(tmp_path, content, problem):
    path = write(tmp_path / "c.json", content)
    with pytest.raises(UserError, match=rf"c\.json: {problem}"):
        Coco(path).label("a.png", CLASSES)


def test_coco_file_names_are_compared_in_one_form(tmp_path):
    content = coco(file_name=unicodedata.normalize("NFC", "rück.png"))
    file = Coco(write(tmp_path / "c.json", content))
    assert not file.label(unicodedata.normalize("NFD", "rück.png"), CLASSES).any()
