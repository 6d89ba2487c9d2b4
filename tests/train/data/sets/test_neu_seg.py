import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.train.data.prepared import check_groups, names
from train.data.prepare import Prepared, prepare
from train.data.sets.neu_seg import NeuSeg, NeuSegBuilder, read_photographs
from train.errors import UserError

TABLE = {f"training/{n:06d}": f"photograph {n // 4}" for n in range(1, 40)}
TABLE |= {f"test/{n:06d}": f"photograph {n}" for n in range(1, 9)}


@dataclass(frozen=True)
class Miniature(NeuSeg):
    """NEU-Seg with a table of 47 files, the first eight photographs in both splits."""

    def builder(self, *, data_dir: Path, source: Path | None) -> NeuSegBuilder:
        return NeuSegBuilder(self.split, TABLE, data_dir=data_dir, source=source)


@pytest.fixture
def archive(tmp_path, picture, label_image) -> Path:
    """A folder with the miniature's files in the layout of the archive."""
    for seed, name in enumerate(TABLE):
        picture(f"source/NEU_Seg/images/{name}.jpg", seed=seed)
        label_image(f"source/NEU_Seg/annotations/{name}.png", seed % 4)
    return tmp_path / "source"


def prepared(source: Path | None, data: NeuSeg = Miniature()) -> Prepared:
    return prepare(data, data_dir=(source or Path()).parent / "prepared", source=source)


def test_grouped_parts_share_no_photograph(archive):
    data = prepared(archive)
    check_groups(data, TABLE)
    assert set.union(*(names(data, part) for part in data.parts)) == TABLE.keys()
    assert data.classes == ("background", "inclusion", "patches", "scratches")
    assert data.channels == 1


def test_the_official_split_keeps_its_test_part_and_takes_validation_from_training_by_photograph(archive):
    data = prepared(archive, Miniature("official"))
    assert names(data, "test") == {name for name in TABLE if name.startswith("test/")}
    train, validation = ({TABLE[name] for name in names(data, part)} for part in ("train", "validation"))
    assert validation
    assert not train & validation


def test_equal_file_names_in_both_folders_are_two_examples(archive):
    pictures = {
        record["name"]: record["image"].tobytes()
        for part in prepared(archive).parts.values()
        for record in part
    }
    assert pictures["training/000001"] != pictures["test/000001"]


def test_the_archive_is_needed_only_once(archive):
    first = prepared(archive)
    data_dir = archive.parent / "prepared"
    shutil.rmtree(archive)
    assert prepare(Miniature(), data_dir=data_dir, source=None) == first


def test_the_source_may_be_the_folder_itself(archive):
    assert prepared(archive / "NEU_Seg").fingerprint == prepared(archive).fingerprint


@pytest.mark.parametrize("folder", [None, "elsewhere"])
def test_without_the_archive_the_message_shows_the_expected_tree(tmp_path, folder):
    source = tmp_path / folder if folder else None
    with pytest.raises(UserError, match=r"NEU_Seg/images/\{training,test\}/NNNNNN\.jpg"):
        prepare(NeuSeg(), data_dir=tmp_path / "prepared", source=source)


def test_missing_and_unknown_files_are_named(archive, picture):
    extra = picture("source/NEU_Seg/images/training/777777.jpg")
    with pytest.raises(UserError, match=r"training/777777\.jpg: no file of NEU-Seg; remove it"):
        prepared(archive)
    extra.unlink()
    (archive / "NEU_Seg/annotations/test/000003.png").unlink()
    with pytest.raises(UserError, match=r"test/000003\.png: missing, with 0 more; unpack"):
        prepared(archive)


def test_a_label_outside_the_classes_is_named(archive, label_image):
    label_image("source/NEU_Seg/annotations/training/000009.png", 4)
    with pytest.raises(UserError, match=r"training/000009\.png: label 4 is neither a class \(0 to 3\)"):
        prepared(archive)


def test_a_label_image_of_another_size_is_named(archive, label_image):
    label_image("source/NEU_Seg/annotations/training/000009.png", 1, size=(13, 16))
    with pytest.raises(
        UserError, match=r"training/000009\.png: is 16x13 pixels but its image 000009\.jpg is"
    ):
        prepared(archive)


def test_the_table_holds_every_image_of_the_published_set_once():
    photographs = read_photographs()
    assert Counter(name.partition("/")[0] for name in photographs) == {"training": 3630, "test": 840}
    shown = Counter(photographs.values())
    assert Counter(shown.values()) == {4: 1092, 1: 30, 8: 9}
    leaked = {photographs[name] for name in photographs if name.startswith("training/")}
    assert sum(photographs[name] in leaked for name in photographs if name.startswith("test/")) == 810
