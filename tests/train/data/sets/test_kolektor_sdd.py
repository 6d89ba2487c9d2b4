from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.prepared import names
from train.data.prepare import Prepared, prepare
from train.data.sets.kolektor_sdd import FOLDS, ITEMS, TWINS, KolektorSDD, divide
from train.errors import UserError

PARTS = 2  # of each item of the miniature; the first shows a defect


@pytest.fixture
def archive(tmp_path, picture) -> Path:
    """A folder with two parts of each item in the layout of the archive, each item of another height."""
    for item in ITEMS:
        for part in range(PARTS):
            name = f"source/KolektorSDD/kos{item:02}/Part{part}"
            picture(f"{name}.jpg", size=(20 + item % 7, 16), seed=item)
            labels = np.zeros((20 + item % 7, 16), np.uint8)
            labels[:3, :5] = part == 0
            bmp = Image.fromarray(labels)
            if part == 0:
                bmp = with_palette(labels, [0, 0, 0, 255, 255, 255])
            bmp.save(tmp_path / f"{name}_label.bmp")
    return tmp_path / "source"


def with_palette(labels: np.ndarray, colors: list[int]) -> Image.Image:
    image = Image.fromarray(labels, "L").convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette(colors + [0] * (768 - len(colors)))
    return image


def prepared(source: Path, where: str = "prepared", **options) -> Prepared:
    return prepare(KolektorSDD(**options), data_dir=source.parent / where, source=source)


def items(data: Prepared, part: str) -> set[int]:
    return {int(name[3:5]) for name in names(data, part)}


def label_path(source: Path, name: str) -> Path:
    return source / "KolektorSDD" / f"{name}_label.bmp"


def test_every_image_is_prepared_and_both_kinds_of_label_images_are_read(archive):
    data = prepared(archive)
    assert data.classes == ("background", "defect")
    assert data.channels == 1
    expected_names = {f"kos{item:02}/Part{part}" for item in ITEMS for part in range(PARTS)}
    assert set.union(*(names(data, part) for part in data.parts)) == expected_names
    for part in data.parts.values():
        for record in part:
            expected = np.zeros(record["label"].shape, int)
            expected[:3, :5] = record["name"].endswith("Part0")
            np.testing.assert_array_equal(record["label"], expected)


def test_every_palette_color_but_black_is_the_defect(archive):
    """kos20/Part4 has two shades of the defect: neither index 1 nor gray levels above 127 cover both."""
    labels = np.zeros((26, 16), np.uint8)
    labels[0, :2], labels[4:9, 3:7] = 1, 2
    with_palette(labels, [0, 0, 0, 85, 85, 85, 255, 255, 255]).save(label_path(archive, "kos20/Part0"))
    data = prepared(archive)
    result = next(r for part in data.parts.values() for r in part if r["name"] == "kos20/Part0")
    np.testing.assert_array_equal(result["label"], labels > 0)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_grouped_folds_keep_twins_together_and_official_ones_do_not(fold):
    for split in ("grouped", "official"):
        parts = divide(split, fold, ITEMS)
        assert sorted(item for part in parts.values() for item in part) == list(ITEMS)
        if split == "official":
            assert parts["test"] == FOLDS[fold]
        else:
            assert 16 <= len(parts["test"]) <= 18
            for twins in TWINS.items():
                assert any(set(twins) <= part for part in parts.values())
    tests = [divide("grouped", fold, ITEMS)["test"] for fold in range(3)]
    assert sorted(item for test in tests for item in test) == list(ITEMS)


@pytest.mark.parametrize("split", ["grouped", "official"])
def test_images_are_grouped_by_item_and_twin(archive, split):
    groups: dict[str, set[int]] = {}
    for part in prepared(archive, split=split).parts.values():
        for record, group in zip(part, part.groups, strict=True):
            groups.setdefault(group, set()).add(int(record["name"][3:5]))
    assert len(groups) == 48
    assert groups["kos27"] == {27, 34}
    assert groups["kos26"] == {1, 26}


def test_folds_are_prepared_apart(archive):
    first, second = prepared(archive), prepared(archive, fold=1)
    assert not items(first, "test") & items(second, "test")
    assert items(prepared(archive, split="official"), "test") == FOLDS[0]
    assert items(first, "test") == FOLDS[0] | {34}


def test_a_copy_that_lacks_images_is_prepared_with_a_warning(archive, caplog):
    for name in ("kos01/Part1", "kos02/Part0"):
        label_path(archive, name).unlink()
        label_path(archive, name).with_name(f"{name[6:]}.jpg").unlink()
    data = prepared(archive)
    assert sum(map(len, data.parts.values())) == 98
    assert "KolektorSDD: 98 of 399 images are there" in caplog.text


@pytest.mark.parametrize(("suffix", "lacks"), [("_label.bmp", "label image"), (".jpg", "image")])
def test_an_image_or_label_image_without_partner_is_named(archive, suffix, lacks):
    (archive / "KolektorSDD" / "kos03" / f"Part1{suffix}").unlink()
    with pytest.raises(UserError, match=rf"kos03/Part1.*: its {lacks} is missing, with 0 more"):
        prepared(archive)


def test_an_unknown_file_is_named(archive, picture, label_image):
    picture("source/KolektorSDD/kos51/Part0.jpg")
    label_image("source/KolektorSDD/kos51/Part0_label.bmp")
    with pytest.raises(UserError, match=r"kos51/Part0\.jpg: no file of KolektorSDD; remove it"):
        prepared(archive)


def test_a_fold_without_images_is_refused(archive):
    for item in ITEMS:
        if item in FOLDS[1]:
            for file in (archive / "KolektorSDD" / f"kos{item:02}").iterdir():
                file.unlink()
    with pytest.raises(UserError, match=r"kolektor_sdd: 66 images leave none for the test part"):
        prepared(archive, fold=1)
