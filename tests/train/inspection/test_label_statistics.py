"""Statistics of three drawn images against figures counted by hand."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from balanced_jax.masks import class_weight_mask, confusion_mask
from configs.folder import config as folder
from configs.objectives import OBJECTIVES
from train.data.prepare import Prepared, prepare
from train.data.sets import Folder
from train.inspection.label_statistics import (
    ComponentStatistics,
    PartStatistics,
    SizeStatistics,
    _measure,
    label_statistics,
)
from train.measures.components import find_components

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
def result(prepared):
    objective = OBJECTIVES["closing_relaxing_window_3"]
    return label_statistics(prepared, dataclasses.replace(folder, objective=objective))


def test_parts_and_sizes_are_counted(result):
    assert result.parts == {
        "train": PartStatistics(3, 2),
        "validation": PartStatistics(1, 1),
        "test": PartStatistics(1, 1),
    }
    assert result.sizes == SizeStatistics(smallest=(30, 50), median=(40, 60), largest=(40, 60), distinct=2)


def test_ratios_leave_void_out(result):
    with_void, small, clean = HEIGHT * WIDTH - 2 * WIDTH, 30 * 50, HEIGHT * WIDTH
    labeled = 2 * with_void + 2 * small + clean
    line, square = result.classes["line"], result.classes["square"]
    assert (line.images, square.images, result.classes["background"].images) == (2, 4, 5)
    assert line.image_ratio == 2 / 5
    assert line.pixel_ratio == pytest.approx(2 * 60 / labeled)
    assert square.pixel_ratio == pytest.approx(4 * 81 / labeled)
    assert line.mean_in_images == pytest.approx(60 / with_void)
    assert square.mean_in_images == pytest.approx((81 / with_void + 81 / small) / 2)


def test_boundaries_are_pixels_with_a_neighbor_of_another_class_but_void(result):
    line, square = result.classes["line"], result.classes["square"]
    # Of the line all but the 19 inner pixels of its middle row, at whose left end the image ends.
    assert line.boundary_fraction == pytest.approx((60 - 19) / 60)
    assert square.boundary_fraction == pytest.approx((81 - 49) / 81)
    outside = 2 * (2 * 20 + 3) + 4 * 36  # of the background around lines and squares
    inside = 2 * (60 - 19) + 4 * (81 - 49)
    labeled = 2 * (HEIGHT - 2) * WIDTH + 2 * 30 * 50 + HEIGHT * WIDTH
    assert result.boundary_fraction == pytest.approx((inside + outside) / labeled)


def components_of(number: int, area: float, width: float, extent: float) -> ComponentStatistics:
    """Statistics of equal components."""
    return ComponentStatistics(number, (area, area, area), (width, width, width), (extent, extent, extent))


def test_components_have_area_width_and_extent(result):
    assert result.classes["line"].components == components_of(2, 60, 3, 20)
    assert result.classes["square"].components == components_of(4, 81, 9, 9)
    assert result.classes["background"].components is None


def test_corners_join_and_each_thing_has_a_width_of_its_own():
    region = np.zeros((12, 20), bool)
    region[0, 0] = region[1, 1] = True
    region[4:9, 5:10] = True
    region[4:9, 12] = True
    assert sorted(zip(*_measure(region.astype(np.uint8), 2), strict=True)) == [
        (1, 2, 1, 2), (1, 5, 1, 5), (1, 25, 5, 5),
    ]  # fmt: skip


def test_components_are_measured_as_if_each_were_alone():
    label = np.random.default_rng(0).integers(0, 4, (30, 40)).astype(np.uint8)
    measured, expected = _measure(label, 4), []
    found = find_components(label, (1, 2, 3))
    for number, box in enumerate(found.boxes(), 1):
        alone = np.pad(found.numbers[box] == number, 1)
        depth: Any = ndimage.distance_transform_edt(alone)
        expected.append((alone.sum(), 2 * depth.max() - 1, max(alone.shape) - 2))
    np.testing.assert_allclose(np.transpose(measured[1:]), expected)


def test_weights_and_masks_are_those_of_the_training_part(result):
    train = list(LABELS["train"].values())
    assert result.at_input_size.size is None
    assert (result.at_input_size.beta, result.at_input_size.window) == (0.99, 3)
    for beta, weight in result.at_input_size.classes["square"].weight.items():
        masks = [np.asarray(class_weight_mask(label, 3, beta=float(beta))) for label in train[:2]]
        expected = np.mean([mask[label == 2].mean() for mask, label in zip(masks, train, strict=False)])
        assert weight == pytest.approx(expected, rel=1e-5)
    for window, purity in result.at_input_size.classes["line"].mask.items():
        expected = np.asarray(confusion_mask(train[0], 3, window=int(window)))[train[0] == 1].mean()
        assert purity == pytest.approx(expected, abs=1e-5)
        bottom = 1 - np.log(2) / np.log(3)
        scaled = result.at_input_size.classes["line"].rescaled[window]
        assert scaled == pytest.approx((expected - bottom) / (1 - bottom), abs=1e-5)


def test_what_is_recommended_follows_from_weights_masks_and_extents(result):
    classes, recommended = result.at_input_size.classes, result.recommended
    beta = str(recommended.beta.value)
    betas = list(classes["line"].weight)
    heaviest = [max(classes[name].weight[b] for name in ("line", "square")) for b in betas]
    assert heaviest[betas.index(beta)] <= 4 < heaviest[betas.index(beta) + 1]
    assert "line" in recommended.beta.reason
    assert min(classes[name].rescaled["3"] for name in ("line", "square")) < 0.5  # the line is thin
    assert recommended.window.value is None
    assert "window 3 leaves line" in recommended.window.reason
    assert "larger input.size" in recommended.window.reason
    assert recommended.crop.value == (32, 32)
    assert recommended.objective.value == "slowly_closing_relaxing_no_window"
    ratio = 60 / sum((label < 255).sum() for label in LABELS["train"].values())
    assert recommended.objective.reason.startswith(f"line has {100 * ratio:.2g} % of the pixels")
    assert (recommended.inject.value, recommended.inject.reason) == (
        0.5,
        "line is on 1 training images, fewer than 20; compare runs with and without",
    )


def test_a_class_below_one_percent_weighs_exactly_what_is_allowed_under_three_quarters(tmp_path):
    label = np.zeros((64, 64), np.uint8)
    label[30:36, 30:36] = 1
    for part in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (tmp_path / kind / part).mkdir(parents=True)
            Image.fromarray(label).save(tmp_path / kind / part / "a.png")
    data = Folder(images=str(tmp_path / "images"), masks=str(tmp_path / "masks"))
    result = label_statistics(prepare(data, data_dir=tmp_path / "prepared"), folder)
    assert result.recommended.beta.value == 0.75
