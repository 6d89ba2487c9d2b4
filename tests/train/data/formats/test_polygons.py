"""LabelMe's and COCO's files, with shapes whose pixels can be counted."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.data.formats.polygons import Coco, read_labelme
from train.data.prepare import Prepared, prepare
from train.data.sets import Folder
from train.errors import UserError

CLASSES = ("background", "scratch", "pit")
HEIGHT, WIDTH = 12, 16


def labelme(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": list(shapes), "imagePath": "a.png"}


def shape(label: str, points: list, kind: str = "polygon") -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind}


def coco(*annotations: dict[str, Any], images=("a.png",)) -> dict[str, Any]:
    return {
        "images": [
            {"id": 7 + k, "file_name": name, "height": HEIGHT, "width": WIDTH}
            for k, name in enumerate(images)
        ],
        "categories": [{"id": 3, "name": "pit"}, {"id": 5, "name": "scratch"}],
        "annotations": list(annotations),
    }


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def expected(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """Boxes of (class, left, top, right, bottom), later ones on top."""
    label = np.zeros((HEIGHT, WIDTH), int)
    for k, left, top, right, bottom in boxes:
        label[top:bottom, left:right] = k
    return label


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_a_pixel_belongs_to_the_shape_that_contains_its_center(tmp_path):
    path = write(
        tmp_path / "a.json",
        labelme(
            shape("scratch", box(2, 3, 7, 5)),
            shape("pit", [[9.4, 1.6], [13.6, 6.4]], "rectangle"),
            shape("scratch", box(10.6, 2.6, 12.4, 4.4)[::-1]),  # on top of the pit, the other way around
        ),
    )
    label = read_labelme(path, CLASSES)
    np.testing.assert_array_equal(label, expected((1, 2, 3, 7, 5), (2, 9, 2, 14, 6), (1, 11, 3, 12, 4)))
    assert label.dtype == np.uint8


def test_shapes_are_clipped_at_the_edge(tmp_path):
    path = write(
        tmp_path / "a.json", labelme(shape("pit", box(-5, -5, 4, 3)), shape("pit", box(14, 10, 99, 99)))
    )
    np.testing.assert_array_equal(read_labelme(path, CLASSES), expected((2, 0, 0, 4, 3), (2, 14, 10, 16, 12)))


def test_a_circle_is_given_by_its_center_and_a_point_on_it(tmp_path):
    path = write(tmp_path / "a.json", labelme(shape("pit", [[8, 6], [8, 10.2]], "circle")))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    np.testing.assert_array_equal(read_labelme(path, CLASSES), 2 * ((x - 8) ** 2 + (y - 6) ** 2 < 4.2**2))


@pytest.mark.parametrize(
    "outside", [box(1e300, 1e300, 1e301, 1e301), box(40, 40, 50, 50), [[20, 1], [25, 5]], box(-5, -5, -1, -1)]
)
def test_a_shape_outside_of_its_image_is_refused_and_named(outside, tmp_path):
    """Nothing of it would be left, and the image could count as clean."""
    inside = shape("scratch", box(1, 1, 3, 3))
    path = write(tmp_path / "a.json", labelme(inside, shape("pit", outside)))
    with pytest.raises(
        UserError, match=r"a\.json: shape 2, a pit, lies outside of its image; move or remove"
    ):
        read_labelme(path, CLASSES)
    flat = [[point for pair in points for point in pair] for points in (box(1, 1, 3, 3), outside)]
    path = write(tmp_path / "b.json", coco({"id": 41, "image_id": 7, "category_id": 3, "segmentation": flat}))
    with pytest.raises(UserError, match=r"b\.json: annotation 41 lies outside of its image; move or remove"):
        Coco(path).label("a.png", CLASSES)


def test_a_rectangle_may_have_four_corners(tmp_path):
    path = write(tmp_path / "a.json", labelme(shape("pit", box(2, 3, 7, 5), "rectangle")))
    np.testing.assert_array_equal(read_labelme(path, CLASSES), expected((2, 2, 3, 7, 5)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (labelme(shape("pit", []) | {"shape_type": None}), "shape_type is null; write polygon, rectangle or"),
        (labelme(shape("pit", [])), "holds a polygon of 0 points; draw it again"),
        (labelme(shape("pit", box(1, 1, 3, 3)[:3], "rectangle")), "holds a rectangle of 3 points; draw it"),
        (
            labelme(shape("dent", box(1, 1, 3, 3))),
            "class 'dent' is not in --data.classes background scratch pit",
        ),
        (
            labelme(shape("pit", [[1, 1], [2, 2]], "line")),
            "holds a line; draw polygons, rectangles or circles",
        ),
        ({"shapes": []}, r"is not understood as a LabelMe file \(KeyError: 'imageHeight'\); export it again"),
        ([1, 2], "is not understood as a LabelMe file"),
        (labelme(shape("pit", [["a", 1]])), "is not understood as a LabelMe file"),
        (labelme(shape("pit", [[1, 1], [math.nan, 2], [3, 3]])), "a point that is not finite"),
        (labelme(shape("pit", [[1, 1], [math.inf, 1]], "circle")), "a point that is not finite"),
        (labelme() | {"imageHeight": 10**9}, "an image of 16x1000000000 pixels"),
    ],
)
def test_an_invalid_labelme_file_is_named(tmp_path, content, problem):
    with pytest.raises(UserError, match=rf"a\.json: .*{problem}|a\.json: {problem}"):
        read_labelme(write(tmp_path / "a.json", content), CLASSES)


def test_invalid_json_is_named(tmp_path):
    path = tmp_path / "a.json"
    for content in (b"", b"{", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.json: is no JSON file \(.*\); export it again"):
            read_labelme(path, CLASSES)


def test_coco_polygons_are_flat_lists_one_or_several_per_annotation(tmp_path):
    one, two = np.ravel(box(2, 3, 7, 5)).tolist(), np.ravel(box(9, 3, 11, 5)).tolist()
    content = coco(
        {"image_id": 7, "category_id": 5, "segmentation": [one, two]},
        {"image_id": 7, "category_id": 3, "segmentation": [np.ravel(box(4, 4, 6, 9)).tolist()]},
        images=("a.png", "deep/b.png"),
    )
    file = Coco(write(tmp_path / "all.json", content))
    np.testing.assert_array_equal(
        file.label("a.png", CLASSES), expected((1, 2, 3, 7, 5), (1, 9, 3, 11, 5), (2, 4, 4, 6, 9))
    )
    assert not file.label("deep/b.png", CLASSES).any()


def packed(runs: list[int]) -> str:
    """COCO's compressed run lengths, written from their description."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            last = (value == 0 and not bits & 16) or (value == -1 and bits & 16)
            text += chr(48 + (bits if last else bits | 32))
            if last:
                break
    return text


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pack", [list, packed])
def test_coco_run_lengths_go_down_the_columns(tmp_path, seed, pack):
    rng = np.random.default_rng(seed)
    mask = np.repeat(rng.random((HEIGHT, 2)) < 0.5, WIDTH // 2, axis=1)
    mask[:, seed] = rng.random(HEIGHT) < 0.5
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.array([0, *edges, flat.size])).tolist()
    runs = [0, *runs] if flat[0] else runs
    size = [HEIGHT, WIDTH]
    content = coco({"image_id": 7, "category_id": 3, "segmentation": {"counts": pack(runs), "size": size}})
    np.testing.assert_array_equal(Coco(write(tmp_path / "c.json", content)).label("a.png", CLASSES), 2 * mask)


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        ({"counts": [5, 5]}, "run lengths that do not cover the image"),
        ({"counts": [-1, HEIGHT * WIDTH + 1]}, "run lengths that do not cover"),
        ({"counts": "h"}, "cut off"),
        ({"counts": "o" * 3_000_000}, "a run length of more than 64 bits"),
        ({"counts": "0" * 3_000_000}, "run lengths that do not cover the image"),
        ({"counts": [2.5, HEIGHT * WIDTH - 2.5]}, "run lengths that are no whole numbers"),
        ({"counts": None}, "TypeError"),
        ([[1, 2, 3]], "ValueError"),
        ("text", "ValueError"),
    ],
)
def test_a_broken_segmentation_is_named(tmp_path, segmentation, problem):
    path = write(tmp_path / "c.json", coco({"image_id": 7, "category_id": 3, "segmentation": segmentation}))
    with pytest.raises(UserError, match=rf"c\.json: is not understood as a COCO file .*{problem}"):
        Coco(path).label("a.png", CLASSES)


def test_an_invalid_coco_file_is_named(tmp_path):
    for content, problem in (
        ({"images": []}, "is not understood as a COCO file"),
        (coco(images=("a.png", "a.png")), "has a file name twice"),
        (coco({"image_id": 7, "category_id": 4, "segmentation": []}), "KeyError: 4"),
    ):
        with pytest.raises(UserError, match=rf"c\.json: .*{problem}"):
            Coco(write(tmp_path / "c.json", content))
    shapes = [np.ravel(box(2, 3, 7, 5)).tolist()]
    file = Coco(write(tmp_path / "c.json", coco({"image_id": 7, "category_id": 3, "segmentation": shapes})))
    with pytest.raises(UserError, match=r"c\.json: has no image b\.png; add it, remove the image, or"):
        file.label("b.png", CLASSES)
    with pytest.raises(UserError, match=r"class 'pit' is not in --data\.classes background scratch;"):
        file.label("a.png", CLASSES[:2])


ANYTHING = (
    None,
    True,
    -1,
    0,
    2.5,
    10**9,
    10**400,
    1e308,
    -1e308,
    1e-320,
    math.nan,
    math.inf,
    "",
    "9",
    "a\n",
    [],
    [[]],
    {},
    {"a": [1]},
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and dictionary within a JSON value, with each of its keys."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@pytest.mark.parametrize("kind", ["LabelMe", "COCO"])
def test_any_value_anywhere_in_the_json_is_read_or_named_in_one_line(tmp_path, kind):
    path, name = tmp_path / "a.json", "a.png"
    kinds = ("polygon", box(1, 1, 4, 4)), ("rectangle", [[1, 1], [4, 4]]), ("circle", [[3, 3], [4, 4]])
    whole = {
        "LabelMe": labelme(*(shape("pit", points, kind) for kind, points in kinds)),
        "COCO": coco(
            {"image_id": 7, "category_id": 3, "segmentation": [[1, 1, 4, 1, 4, 4]]},
            {"image_id": 7, "category_id": 5, "segmentation": {"counts": [5, 6, HEIGHT * WIDTH - 11]}},
        ),
    }[kind]
    for holder, key in list(places(whole)):
        kept = holder[key]
        for holder[key] in ANYTHING:
            write(path, whole)
            try:
                label = read_labelme(path, CLASSES) if kind == "LabelMe" else Coco(path).label(name, CLASSES)
            except UserError as error:
                message = str(error)
                assert message.startswith(f"{path}: ")
                assert message.isprintable()
            else:
                assert label.dtype == np.uint8
                assert label.ndim == 2
                assert label.max() < len(CLASSES)
        holder[key] = kept


def prepared(root: Path, **options: Any) -> Prepared:
    data = Folder(images=str(root / "images"), classes=CLASSES, validation=0.25, test=0.25, **options)
    return prepare(data, data_dir=root / "prepared")


def labels(data: Prepared) -> dict[str, np.ndarray]:
    return {record["name"]: record["label"] for part in data.parts.values() for record in part}


@pytest.mark.parametrize("where", ["images", "masks"])
def test_labelme_files_may_lie_beside_the_images_or_apart(tmp_path, picture, where):
    for k in range(8):
        picture(f"images/{k}.png", seed=k)
        write(tmp_path / where / f"{k}.json", labelme(*[shape("pit", box(0, 0, k, 2))] * (k % 2)))
    beside = {"mask_suffix": ".json"} if where == "images" else {"masks": str(tmp_path / "masks")}
    for name, label in labels(prepared(tmp_path, **beside)).items():
        np.testing.assert_array_equal(label, expected((2, 0, 0, int(name) * (int(name) % 2), 2)))


def test_a_folder_may_have_a_coco_file(tmp_path, picture):
    names = [f"deep/{k}.png" for k in range(8)]
    for k, name in enumerate(names):
        picture(f"images/{name}", seed=k)
    content = coco(
        *(
            {"image_id": 7 + k, "category_id": 5, "segmentation": [np.ravel(box(0, 0, k, 2)).tolist()]}
            for k in range(8)
        ),
        images=names,
    )
    masks = write(tmp_path / "all.json", content)
    for name, label in labels(prepared(tmp_path, masks=str(masks))).items():
        np.testing.assert_array_equal(label, expected((1, 0, 0, max(int(name[5:]), 1), 2)))
    content["images"].pop()
    content["annotations"].pop()
    write(masks, content)
    with pytest.raises(UserError, match=r"all\.json: has no image deep/7\.png; .*--data\.missing-is-clean"):
        prepared(tmp_path, masks=str(masks))
    assert not labels(prepared(tmp_path, masks=str(masks), missing_is_clean=True))["deep/7"].any()


def test_an_image_without_a_labelme_file_is_clean_if_the_user_says_so(tmp_path, picture):
    """LabelMe saves no file of an image without a shape."""
    for k in range(8):
        picture(f"images/{k}.png", seed=k)
        if k % 2:
            write(tmp_path / f"images/{k}.json", labelme(shape("pit", box(0, 0, k, 2))))
    with pytest.raises(UserError, match=r"0\.png: has no label image 0\.json in .*--data\.missing-is-clean"):
        prepared(tmp_path, mask_suffix=".json")
    for name, label in labels(prepared(tmp_path, mask_suffix=".json", missing_is_clean=True)).items():
        np.testing.assert_array_equal(label, expected((2, 0, 0, int(name) * (int(name) % 2), 2)))
    picture("images/0.png", size=(HEIGHT, WIDTH), seed=8)  # a clean image that changes is prepared anew
    changed = prepared(tmp_path, mask_suffix=".json", missing_is_clean=True)
    assert len(list((tmp_path / "prepared").iterdir())) == 2
    assert len(labels(changed)) == 8


def test_a_label_of_another_size_is_named(tmp_path, picture):
    for k in range(8):
        picture(f"images/{k}.png", size=(HEIGHT, WIDTH + (k == 3)), seed=k)
        write(tmp_path / "masks" / f"{k}.json", labelme(shape("pit", box(0, 0, 5, 5))))
    with pytest.raises(UserError, match=r"masks/3\.json: is 16x12 pixels but its image 3\.png is 17x12"):
        prepared(tmp_path, masks=str(tmp_path / "masks"))
