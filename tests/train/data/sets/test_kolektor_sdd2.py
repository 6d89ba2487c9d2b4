from pathlib import Path

import numpy as np
import pytest

from tests.train.data.prepared import names
from train.data.prepare import Prepared, prepare
from train.data.sets import KolektorSDD2
from train.errors import UserError


@pytest.fixture
def archive(tmp_path, picture, label_image) -> Path:
    """A folder with 28 pairs in the layout of the archive, every fourth with a defect."""
    for folder, first, number in (("train", 10000, 20), ("test", 20000, 8)):
        for k in range(number):
            name = f"source/KolektorSDD2/{folder}/{first + k}"
            size = (20 + k % 3, 12 + k % 2)
            picture(f"{name}.png", size=(*size, 3), seed=first + k)
            label_image(f"{name}_GT.png", 0 if k % 4 else 255, size=size)
    return tmp_path / "source"


def prepared(source: Path) -> Prepared:
    return prepare(KolektorSDD2(), data_dir=source.parent / "prepared", source=source)


def test_the_official_test_part_is_kept_and_validation_is_drawn_from_the_others(archive):
    data = prepared(archive)
    assert data.channels == 3
    assert names(data, "test") == {f"test/{20000 + k}" for k in range(8)}
    assert len(names(data, "validation")) == 3
    assert any(data.parts["validation"].defective)
    assert names(data, "train") | names(data, "validation") == {f"train/{10000 + k}" for k in range(20)}
    for part in data.parts.values():
        for record in part:
            expected = np.zeros(record["label"].shape, int)
            expected[:3, :5] = int(record["name"][-5:]) % 4 == 0
            np.testing.assert_array_equal(record["label"], expected)


@pytest.mark.parametrize("copy", ["10003_GT (copy)", "10003 (1)", "10003_GT(1)"])
def test_a_stray_copy_is_skipped(archive, picture, copy):
    picture(f"source/KolektorSDD2/train/{copy}.png")
    assert sum(map(len, prepared(archive).parts.values())) == 28


def test_an_unknown_file_is_named(archive, picture):
    picture("source/KolektorSDD2/train/overview.png")
    with pytest.raises(UserError, match=r"overview\.png: no file of KolektorSDD2; remove it"):
        prepared(archive)


@pytest.mark.parametrize(("suffix", "lacks"), [("_GT.png", "label image"), (".png", "image")])
def test_an_image_or_label_image_without_partner_is_named(archive, suffix, lacks):
    (archive / "KolektorSDD2" / "train" / f"10007{suffix}").unlink()
    with pytest.raises(UserError, match=rf"10007.*png: its {lacks} is missing, with 0 more"):
        prepared(archive)


def test_without_images_the_message_shows_the_expected_tree(tmp_path):
    """As with the published split files alone."""
    (tmp_path / "splits" / "KSDD2").mkdir(parents=True)
    with pytest.raises(UserError, match=r"KolektorSDD2/\{train,test\}/NNNNN\.png and NNNNN_GT\.png"):
        prepare(KolektorSDD2(), data_dir=tmp_path / "prepared", source=tmp_path / "splits")
