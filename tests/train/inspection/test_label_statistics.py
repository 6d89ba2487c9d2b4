"""Statistics of three drawn images against figures counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from balanced_jax.masks import class_weight_mask, confusion_mask
from configs.folder import config as folder
from train.data.prepare import Prepared, prepare
from train.data.sets import Folder
from train.display.label_statistics import show_statistics, tables
from train.errors import UserError
from train.inspection.label_statistics import Components, statistics
from train.measures.components import components

HEIGHT, WIDTH = 40, 60


def line_and_square() -> np.ndarray:
    """A line of 3x20 at the left edge, a square of 9x9, and a void stripe."""
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[10:13, :20] = 1
    label[20:29, 30:39] = 2
    label[36:38] = 255
    return label


def square_only() -> np.ndarray:
    """The square alone in a smaller image."""
    label = np.zeros((30, 50), np.uint8)
    label[5:14, 5:14] = 2
    return label


LABELS = {
    "train": {"a": line_and_square(), "b": square_only(), "c": np.zeros((HEIGHT, WIDTH), np.uint8)},
    "val": {"d": line_and_square()},
    "test": {"e": square_only()},
}


@pytest.fixture
def prepared(tmp_path) -> Prepared:
    for part, labels in LABELS.items():
        for name, label in labels.items():
            for kind, pixels in (("images", label // 2), ("masks", label)):
                path = tmp_path / kind / part / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    data = Folder(
        images=str(tmp_path / "images"),
        masks=str(tmp_path / "masks"),
        classes=("background", "line", "square"),
    )
    return prepare(data, data_dir=tmp_path / "prepared")


@pytest.fixture
def found(prepared):
    return statistics(prepared, folder)


def test_parts_and_sizes_are_counted(found):
    assert found["parts"] == {
        "train": {"images": 3, "defective": 2},
        "validation": {"images": 1, "defective": 1},
        "test": {"images": 1, "defective": 1},
    }
    assert found["sizes"] == {
        "smallest": [30, 50], "median": [40, 60], "largest": [40, 60], "distinct": 2,
    }  # fmt: skip


def test_ratios_leave_void_out(found):
    with_void, small, clean = HEIGHT * WIDTH - 2 * WIDTH, 30 * 50, HEIGHT * WIDTH
    labelled = 2 * with_void + 2 * small + clean
    line, square = found["classes"]["line"], found["classes"]["square"]
    assert (line["images"], square["images"], found["classes"]["background"]["images"]) == (2, 4, 5)
    assert line["image_ratio"] == 2 / 5
    assert line["pixel_ratio"] == pytest.approx(2 * 60 / labelled)
    assert square["pixel_ratio"] == pytest.approx(4 * 81 / labelled)
    assert line["mean_in_images"] == pytest.approx(60 / with_void)
    assert square["mean_in_images"] == pytest.approx((81 / with_void + 81 / small) / 2)


def test_boundaries_are_pixels_with_a_neighbour_of_another_class_but_void(found):
    line, square = found["classes"]["line"], found["classes"]["square"]
    # Of the line all but the 19 inner pixels of its middle row, at whose left end the image ends.
    assert line["boundary_share"] == pytest.approx((60 - 19) / 60)
    assert square["boundary_share"] == pytest.approx((81 - 49) / 81)
    outside = 2 * (2 * 20 + 3) + 4 * 36  # of the background around lines and squares
    inside = 2 * (60 - 19) + 4 * (81 - 49)
    labelled = 2 * (HEIGHT - 2) * WIDTH + 2 * 30 * 50 + HEIGHT * WIDTH
    assert found["boundary_share"] == pytest.approx((inside + outside) / labelled)


def test_components_have_area_width_and_extent(found):
    assert found["classes"]["line"]["components"] == {
        "number": 2, "area": [60] * 3, "width": [3] * 3, "extent": [20] * 3,
    }  # fmt: skip
    assert found["classes"]["square"]["components"] == {
        "number": 4, "area": [81] * 3, "width": [9] * 3, "extent": [9] * 3,
    }  # fmt: skip
    assert "components" not in found["classes"]["background"]


def test_corners_join_and_each_thing_has_a_width_of_its_own():
    here = np.zeros((12, 20), bool)
    here[0, 0] = here[1, 1] = True
    here[4:9, 5:10] = True
    here[4:9, 12] = True
    found = Components()
    for component in components(here, [True]):
        found.add(component)
    assert sorted(zip(found.areas, found.widths, found.extents, strict=True)) == [
        (2, 1, 2), (5, 1, 5), (25, 5, 5),
    ]  # fmt: skip


def test_weights_and_masks_are_those_of_the_training_part(found):
    train = list(LABELS["train"].values())
    assert found["seen"]["size"] is None
    assert (found["seen"]["beta"], found["seen"]["window"]) == (0.99, 3)
    for beta, weight in found["seen"]["classes"]["square"]["weight"].items():
        masks = [np.asarray(class_weight_mask(label, 3, beta=float(beta))) for label in train[:2]]
        wanted = np.mean([mask[label == 2].mean() for mask, label in zip(masks, train, strict=False)])
        assert weight == pytest.approx(wanted, rel=1e-5)
    for window, purity in found["seen"]["classes"]["line"]["mask"].items():
        wanted = np.asarray(confusion_mask(train[0], 3, window=int(window)))[train[0] == 1].mean()
        assert purity == pytest.approx(wanted, abs=1e-5)
        bottom = 1 - np.log(2) / np.log(3)
        scaled = found["seen"]["classes"]["line"]["rescaled"][window]
        assert scaled == pytest.approx((wanted - bottom) / (1 - bottom), abs=1e-5)


def test_what_is_recommended_follows_from_weights_masks_and_extents(found):
    seen, chosen = found["seen"]["classes"], found["recommended"]
    beta = str(chosen["beta"]["value"])
    betas = list(seen["line"]["weight"])
    heaviest = [max(seen[name]["weight"][b] for name in ("line", "square")) for b in betas]
    assert heaviest[betas.index(beta)] <= 4 < heaviest[betas.index(beta) + 1]
    assert "line" in chosen["beta"]["reason"]
    assert min(seen[name]["rescaled"]["3"] for name in ("line", "square")) < 0.5  # the line is thin
    assert chosen["window"]["value"] == 3
    assert "window 3 leaves line" in chosen["window"]["reason"]
    assert "larger input.size" in chosen["window"]["reason"]
    assert chosen["crop"]["value"] == [32, 32]


def test_a_class_below_one_percent_weighs_exactly_what_is_allowed_under_three_quarters(tmp_path):
    label = np.zeros((64, 64), np.uint8)
    label[30:36, 30:36] = 1
    for part in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (tmp_path / kind / part).mkdir(parents=True)
            Image.fromarray(label).save(tmp_path / kind / part / "a.png")
    data = Folder(images=str(tmp_path / "images"), masks=str(tmp_path / "masks"))
    found = statistics(prepare(data, data_dir=tmp_path / "prepared"), folder)
    assert found["recommended"]["beta"]["value"] == 0.75


def test_tables_json_and_picture_hold_it(found, tmp_path):
    console = Console(width=80, record=True)
    show_statistics(found, tmp_path / "out", console)
    text = console.export_text()
    for word in ("5 images", "line", "square", "recommended", "statistics.png"):
        assert word in text
    assert len(tables(found)) == 5
    assert json.loads((tmp_path / "out" / "statistics.json").read_text()) == json.loads(json.dumps(found))
    with Image.open(tmp_path / "out" / "statistics.png") as picture:
        assert picture.width > 1000


def test_a_folder_that_cannot_be_written_is_named(found, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match=r"out: cannot be written .*--out"):
        show_statistics(found, Path(tmp_path / "out"), Console())
