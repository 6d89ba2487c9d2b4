"""Images that show the same in two parts, under the changes by which published data sets hide them."""

import io

import numpy as np
import pytest
from PIL import Image

from train.data.prepare import prepare
from train.data.sets import Folder
from train.inspection import leaks
from train.inspection.leaks import Leak, describe_leaks, find_leaks

SIZE = (60, 80)


def surface(seed: int, shape=SIZE) -> np.ndarray:
    """Random texture under a gradient of light that is equal for all surfaces."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 25, (shape[0] // 2, shape[1] // 2)).repeat(2, 0).repeat(2, 1)
    light = np.linspace(-40, 40, shape[1])
    return np.clip(128 + light + coarse, 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=85)
    return np.asarray(Image.open(file))


@pytest.fixture
def prepared(tmp_path):
    """Prepares a folder whose parts are given as images by name."""

    def build(**parts: dict[str, np.ndarray]):
        for part, images in parts.items():
            for name, pixels in images.items():
                label = np.zeros(pixels.shape[:2], np.uint8)
                label[:3, :5] = 1
                for kind, picture in (("images", pixels), ("masks", label)):
                    path = tmp_path / kind / part / f"{name}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture).save(path)
        data = Folder(images=str(tmp_path / "images"), masks=str(tmp_path / "masks"))
        return prepare(data, data_dir=tmp_path / "prepared")

    return build


def others(first: int, count: int = 3) -> dict[str, np.ndarray]:
    return {f"other {k}": surface(first + k) for k in range(count)}


CHANGES = {
    "equal": lambda x: x,
    "rotated": lambda x: np.rot90(x),
    "rotated and compressed again": lambda x: jpeg(np.rot90(x, 3)),
    "mirrored and compressed again": lambda x: jpeg(x[:, ::-1]),
    "upside down": lambda x: np.rot90(x, 2),
    "transposed": lambda x: x.T,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(prepared, change):
    data = prepared(
        train=others(0) | {"a": surface(50)},
        val=others(10),
        test=others(20) | {"b": np.ascontiguousarray(change(surface(50)))},
    )
    result = find_leaks(data)
    assert result == [Leak("train", "train/a", "test", "test/b")]
    assert describe_leaks(result, data) == [
        "1 of 4 images of the test part show what images of the train part show: test/b is train/a"
    ]


def test_all_three_parts_are_compared_and_color_is_read(prepared):
    color_image = np.stack([surface(50), surface(51), surface(52)], -1)
    data = prepared(
        train=others(0) | {"a": color_image},
        val=others(10) | {"b": np.ascontiguousarray(color_image[::-1])},
        test=others(20) | {"c": color_image},
    )
    assert {(leak.part, leak.other_part) for leak in find_leaks(data)} == {
        ("train", "validation"), ("train", "test"), ("validation", "test"),
    }  # fmt: skip
    assert len(describe_leaks(find_leaks(data), data)) == 3


def test_equal_light_on_different_surfaces_is_no_leak(prepared, monkeypatch):
    """Block means correlate by more than 0.995, details do not."""

    def smooth(seed: int) -> np.ndarray:
        fine = np.random.default_rng(seed).normal(0, 3, SIZE)
        return np.clip(128 + np.linspace(-60, 60, SIZE[1]) + fine, 0, 255).astype(np.uint8)

    parts = {
        part: {f"{k}": smooth(10 * i + k) for k in range(3)}
        for i, part in enumerate(("train", "val", "test"))
    }
    data = prepared(**parts)
    assert find_leaks(data) == []
    monkeypatch.setattr(leaks, "_MIN_DETAIL_CORRELATION", -1)
    assert len(find_leaks(data)) == 27  # all pairs passed the first comparison


def test_black_images_are_compared_by_their_pixels_alone(prepared):
    black, speck = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    speck[5, 5] = 1
    data = prepared(
        train=others(0) | {"a": black}, val=others(10) | {"b": speck}, test=others(20) | {"c": black}
    )
    assert find_leaks(data) == [Leak("train", "train/a", "test", "test/c")]
