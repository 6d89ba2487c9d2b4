import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.image_files import save
from tests.train.data.prepared import names
from train.data.prepare import Prepared, prepare
from train.data.sets.topomortar import NAMES, TopoMortar
from train.errors import UserError

KINDS = ("accurate", "pseudo", "noisy")


@pytest.fixture
def archive(tmp_path, picture) -> Path:
    """A folder with all images in the layout of the archive, and labels that differ by image and kind."""
    for images in NAMES.values():
        for name in images:
            picture(f"source/topomortar/images/{name}.jpg", size=(8, 6, 3), seed=int(name[-3:]))
            for kind in KINDS:
                if kind == "accurate" or not name.startswith("test/"):
                    path = tmp_path / f"source/topomortar/{kind}/{name}.png"
                    save(Image.fromarray(expected_label(kind, name) > 0), path)
    return tmp_path / "source"


def expected_label(kind: str, name: str) -> np.ndarray:
    """Return a label whose height says the kind and whose width and place say the number of the image."""
    label = np.zeros((8, 6), np.uint8)
    number = int(name[-3:])
    label[number // 6 % 5 :][: 1 + KINDS.index(kind), : 1 + number % 6] = 1
    return label


def prepared(source: Path, *kinds) -> Prepared:
    return prepare(TopoMortar(*kinds), data_dir=source.parent / "prepared", source=source)


@pytest.mark.parametrize(
    ("kinds", "train", "validation"),
    [
        ((), "accurate", "accurate"),
        (("noisy",), "noisy", "noisy"),
        (("noisy", "accurate"), "noisy", "accurate"),
        (("pseudo", "noisy"), "pseudo", "noisy"),
    ],
)
def test_every_part_has_the_official_images_and_labels_of_the_chosen_kind(archive, kinds, train, validation):
    data = prepared(archive, *kinds)
    assert data.classes == ("background", "mortar")
    assert data.channels == 3
    assert [len(part) for part in data.parts.values()] == [50, 20, 50]
    for part, kind in (("train", train), ("validation", validation), ("test", "accurate")):
        assert names(data, part) == set(NAMES[part])
        for record in data.parts[part]:
            np.testing.assert_array_equal(record["label"], expected_label(kind, record["name"]))


def test_kinds_of_labels_are_prepared_apart(tmp_path):
    def directory(*kinds) -> Path:
        return Path(TopoMortar(*kinds).builder(data_dir=tmp_path, source=None).data_path)

    assert len({directory(train, validation) for train in KINDS for validation in KINDS}) == 9
    assert directory("noisy") == directory("noisy", "noisy")


@pytest.mark.parametrize(
    ("file", "others"),
    [("images/test/098.jpg", 0), ("noisy/train/003.png", 0), ("accurate/val", 19)],
)
def test_a_missing_image_or_label_image_is_named(archive, file, others):
    path = archive / "topomortar" / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=rf"{file}.*: missing, with {others} more; unpack the archive again"):
        prepared(archive, "noisy", "accurate")


@pytest.mark.parametrize("file", ["images/train/121.jpg", "noisy/train/051.png", "accurate/test/wall.png"])
def test_an_unknown_file_is_named(archive, picture, file):
    picture(f"source/topomortar/{file}")
    with pytest.raises(UserError, match=rf"{file}: no file of TopoMortar; remove it"):
        prepared(archive, "noisy")


def test_label_images_of_another_kind_are_not_needed(archive):
    for kind in ("pseudo", "noisy"):
        shutil.rmtree(archive / "topomortar" / kind)
    prepared(archive)
    with pytest.raises(UserError, match=r"pseudo/train/001\.png: missing, with 49 more"):
        prepared(archive, "pseudo")


def test_without_the_set_the_message_shows_the_expected_tree(tmp_path):
    with pytest.raises(UserError, match=r"topomortar/images/\{train,val,test\}/NNN\.jpg, accurate/"):
        prepared(tmp_path)
