import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.prepared import check_groups, names
from train.data.prepare import Prepared, prepare
from train.data.sets.magnetic_tile import (
    CLASSES,
    FOLDERS,
    TILES,
    MagneticTile,
    MagneticTileBuilder,
    class_id,
    divide,
    read_tiles,
)
from train.errors import UserError

ROOT = "Magnetic-tile-defect-datasets."
TABLE = {
    f"{folder}/exp{exposure}_num_{1000 * k + 10 * tile + exposure}": f"tile {k} {tile}"
    for k, folder in enumerate(FOLDERS)
    for tile in range(7)
    for exposure in (1, 2)
}
TABLE |= {"MT_Crack/exp3_num_3003": "in two folders", "MT_Free/exp4_num_3004": "in two folders"}


@dataclass(frozen=True)
class Miniature(MagneticTile):
    """Magnetic tile with a table of 86 images, two of them of one tile that lies in two folders."""

    def builder(self, *, data_dir: Path, source: Path | None) -> MagneticTileBuilder:
        return MagneticTileBuilder(TABLE, data_dir=data_dir, source=source)


@pytest.fixture
def archive(tmp_path, picture, label_image) -> Path:
    """A folder with the miniature's files in the layout of the archive, every image of another size."""
    for seed, name in enumerate(TABLE):
        folder, stem = name.split("/")
        size = (12 + seed % 7, 10 + seed % 11)
        picture(f"source/{ROOT}/{folder}/Imgs/{stem}.jpg", size=size, seed=seed)
        label_image(f"source/{ROOT}/{folder}/Imgs/{stem}.png", 255 if class_id(name) else 0, size=size)
    (tmp_path / "source" / ROOT / "README.md").write_text("not data")
    return tmp_path / "source"


def file(source: Path, name: str) -> Path:
    folder, stem = name.split("/")
    return source / ROOT / folder / "Imgs" / stem


def prepared(source: Path, where: str = "prepared") -> Prepared:
    return prepare(Miniature(), data_dir=source.parent / where, source=source)


def record(data: Prepared, name: str):
    return next(r for part in data.parts.values() for r in part if r["name"] == name)


def test_every_image_is_there_with_its_folder_as_class(archive):
    data = prepared(archive)
    assert data.classes == ("background", "blowhole", "break", "crack", "fray", "uneven")
    assert data.channels == 1
    assert set.union(*(names(data, part) for part in data.parts)) == TABLE.keys()
    for part in data.parts.values():
        for example, size, present in zip(part, part.sizes, part.present, strict=True):
            expected = {0, class_id(example["name"])}
            assert set(np.unique(example["label"])) == set(present) == expected
            assert example["image"].shape == (*size, 1)
            assert example["label"].shape == size


def test_pixels_above_127_are_a_defect(archive):
    name = "MT_Fray/exp1_num_4001"
    with Image.open(file(archive, name).with_suffix(".jpg")) as image:
        width, height = image.size
    values = np.arange(height * width, dtype=np.uint8).reshape(height, width) + 60
    Image.fromarray(values).save(file(archive, name).with_suffix(".png"))
    label = record(prepared(archive), name)["label"]
    assert (label == np.where(values > 127, 4, 0)).all()
    assert (label == 4).any()


def test_an_empty_label_image_in_the_folder_of_a_defect_is_a_clean_image(archive, label_image):
    name = "MT_Uneven/exp2_num_5002"
    with Image.open(file(archive, name).with_suffix(".jpg")) as image:
        label_image(file(archive, name).with_suffix(".png"), 0, size=image.size[::-1])
    assert not record(prepared(archive), name)["label"].any()


def test_parts_share_no_tile_not_even_one_in_two_folders(archive):
    check_groups(prepared(archive), TABLE)


def test_clean_images_may_be_left_out_and_the_others_stay_in_their_parts(archive):
    whole = prepared(archive)
    for name in ("MT_Free/exp1_num_1", "MT_Free/exp4_num_3004"):
        for suffix in (".jpg", ".png"):
            file(archive, name).with_suffix(suffix).unlink()
    partial = prepared(archive, "partial")
    left_out = {"MT_Free/exp1_num_1", "MT_Free/exp4_num_3004"}
    for part in whole.parts:
        assert names(partial, part) == names(whole, part) - left_out
    shutil.rmtree(archive / ROOT / "MT_Free")
    defects = prepared(archive, "defects")
    for part in whole.parts:
        assert names(defects, part) == {name for name in names(whole, part) if class_id(name)}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("MT_Crack/exp1_num_3001", ".jpg"), ("MT_Break/exp2_num_2012", ".png"), ("MT_Free/exp1_num_1", ".png")],
)
def test_a_missing_file_of_a_defect_or_of_a_clean_pair_is_named(archive, name, suffix):
    file(archive, name).with_suffix(suffix).unlink()
    with pytest.raises(
        UserError, match=rf"{ROOT}/MT_.*/Imgs/exp\d_num_\d+\{suffix}: missing.*unpack"
    ) as error:
        prepared(archive)
    assert name.split("/")[1] in str(error.value)


def test_a_missing_folder_of_defects_is_named_by_its_first_file(archive):
    shutil.rmtree(archive / ROOT / "MT_Fray")
    with pytest.raises(UserError, match=r"MT_Fray/Imgs/exp1_num_4001\.jpg: missing, with 13 more"):
        prepared(archive)


@pytest.mark.parametrize("name", ["MT_Crack/exp1_num_77", "MT_Free/exp1_num_1 copy", "MT_Dent/exp1_num_1"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_unknown_file_is_named(archive, picture, name, suffix):
    picture(file(archive, name).with_name(f"{name.split('/')[1]}{suffix}"))
    with pytest.raises(UserError, match=rf"{name}\{suffix}".replace("/", "/Imgs/") + ": no file of Magnetic"):
        prepared(archive)


def test_a_label_image_of_another_size_is_named(archive, label_image):
    label_image(file(archive, "MT_Crack/exp1_num_3001").with_suffix(".png"), 255, size=(40, 30))
    with pytest.raises(
        UserError, match=r"exp1_num_3001\.png: is 30x40 pixels but its image exp1_num_3001\.jpg"
    ):
        prepared(archive)


def test_a_label_image_in_color_and_a_damaged_image_are_named(archive, label_image):
    path = file(archive, "MT_Crack/exp1_num_3001")
    Image.new("RGB", (10, 10), "red").save(path.with_suffix(".png"))
    with pytest.raises(UserError, match=r"exp1_num_3001\.png: is in color"):
        prepared(archive)
    label_image(path.with_suffix(".png"), 255)
    path.with_suffix(".jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=r"exp1_num_3001\.jpg: .*replace or remove it"):
        prepared(archive)


def test_the_archive_is_needed_only_once(archive):
    first = prepared(archive)
    data_dir = archive.parent / "prepared"
    shutil.rmtree(archive)
    assert prepare(Miniature(), data_dir=data_dir, source=None) == first


def test_the_source_may_be_the_folder_itself(archive):
    direct = prepare(Miniature(), data_dir=archive.parent / "direct", source=archive / ROOT)
    assert direct.fingerprint == prepared(archive).fingerprint


@pytest.mark.parametrize("folder", [None, "elsewhere"])
def test_without_the_archive_the_message_shows_the_expected_tree(tmp_path, folder):
    source = tmp_path / folder if folder else None
    with pytest.raises(
        UserError, match=r"datasets\./MT_\{Blowhole,.*,Free\}/Imgs/exp\*_num_\*\.jpg and \.png"
    ):
        prepare(MagneticTile(), data_dir=tmp_path / "prepared", source=source)


def test_the_table_holds_every_image_of_the_published_set_once():
    tiles = read_tiles()
    assert Counter(name.partition("/")[0] for name in tiles) == {
        "MT_Free": 952, "MT_Uneven": 103, "MT_Blowhole": 115, "MT_Break": 85, "MT_Crack": 57, "MT_Fray": 32,
    }  # fmt: skip
    assert sum(len(line.split()) for line in TILES.read_text().splitlines() if line[0] != "#") == len(tiles)
    assert len({name.rpartition("_")[2] for name in tiles}) == 1344
    images = Counter(tiles.values())
    assert Counter(images.values()) == {6: 214, 7: 3, 5: 2, 15: 1, 8: 1, 4: 1, 2: 1}
    filed = {tile: {class_id(name) for name in tiles if tiles[name] == tile} for tile in images}
    assert sum(len(classes) > 1 for classes in filed.values()) == 7


def test_the_published_set_is_divided_by_tile_and_each_part_shows_each_class():
    tiles = read_tiles()
    parts = divide(tiles)
    assert {part: len(images) for part, images in parts.items()} == {
        "train": 806, "validation": 269, "test": 269,
    }  # fmt: skip
    assert len({(part, tiles[name]) for part, images in parts.items() for name in images}) == 223
    for images in parts.values():
        assert {class_id(name) for name in images} == set(range(len(CLASSES)))
