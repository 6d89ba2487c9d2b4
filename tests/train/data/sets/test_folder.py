import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.train.data.image_files import save
from train.data.prepare import Prepared, prepare
from train.data.sets import Folder
from train.errors import UserError


@pytest.fixture
def shop(tmp_path, picture, mask) -> Path:
    """Eight photographs with masks in two folders, half of them clean."""
    for number in range(8):
        picture(f"images/part {number}.jpg", seed=number)
        mask(f"masks/part {number}.png", number % 2)
    return tmp_path


def prepared(root: Path, **changes: Any) -> Prepared:
    options: dict[str, Any] = {"images": str(root / "images"), "masks": str(root / "masks")}
    options |= {"validation": 0.25, "test": 0.25} | changes
    return prepare(Folder(**options), data_dir=root / "prepared")


def names(data: Prepared, part: str) -> set[str]:
    return {record["name"] for record in data.parts[part]}


def test_two_folders_become_three_parts_with_defects_in_each(shop):
    data = prepared(shop)
    assert data.classes == ("background", "defect")
    assert {part: len(records) for part, records in data.parts.items()} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    every = [record for part in data.parts.values() for record in part]
    assert {record["name"] for record in every} == {f"part {number}" for number in range(8)}
    for part in data.parts.values():
        assert any(record["label"].any() for record in part)
        assert any(not record["label"].any() for record in part)
    for record in every:
        assert record["label"].sum() == 15 * (int(record["name"][-1]) % 2)


def test_grey_images_have_one_channel_unless_one_of_the_set_is_coloured(shop, picture):
    assert prepared(shop).channels == 1
    picture("images/part 3.jpg", size=(12, 16, 3))
    data = prepared(shop)
    assert data.channels == 3
    assert {record["image"].shape for part in data.parts.values() for record in part} == {(12, 16, 3)}


def test_the_canvas_holds_every_image_of_a_part(shop, picture, mask):
    picture("images/part 8.png", size=(20, 10))
    mask("masks/part 8.png", size=(20, 10))
    data = prepared(shop)
    shapes = {part: [record["label"].shape for record in records] for part, records in data.parts.items()}
    for part in data.parts:
        assert data.canvas(part) == tuple(np.max(shapes[part], axis=0))
        assert list(data.parts[part].sizes) == shapes[part]


@pytest.mark.parametrize("folders", [("train", "val", "test"), ("training", "Validation", "testing")])
def test_folders_named_after_the_parts_are_the_parts(tmp_path, picture, mask, folders):
    for folder in folders:
        picture(f"images/{folder}/deep/a.png")
        mask(f"masks/{folder}/deep/a.png")
    data = prepared(tmp_path)
    for part, folder in zip(("train", "validation", "test"), folders, strict=True):
        assert names(data, part) == {f"{folder}/deep/a"}


def test_a_part_without_folder_is_drawn_from_train(tmp_path, picture, mask):
    for number in range(8):
        folder = "test" if number < 2 else "train"
        picture(f"images/{folder}/{number}.png")
        mask(f"masks/{folder}/{number}.png")
    data = prepared(tmp_path)
    assert names(data, "test") == {"test/0", "test/1"}
    assert len(names(data, "validation")) == 2


def test_images_beside_the_folders_of_the_parts_are_refused(shop, picture, mask):
    picture("images/test/a.png")
    mask("masks/test/a.png")
    with pytest.raises(UserError, match="part 0 lies outside the folders train, val and test"):
        prepared(shop)


@pytest.mark.parametrize(
    ("suffix", "name"), [("_mask", "{}_mask.bmp"), (".png", "{}.png"), ("_GT.png", "{}_GT.png")]
)
def test_masks_may_lie_beside_their_images(tmp_path, picture, mask, suffix, name):
    for number in range(8):
        picture(f"images/{number}.jpg")
        mask("images/" + name.format(number))
    data = prepared(tmp_path, masks=None, mask_suffix=suffix)
    assert sum(map(len, data.parts.values())) == 8
    assert names(data, "test") < set("01234567")


def test_masks_may_lie_in_a_folder_below_the_images_and_have_a_suffix(tmp_path, picture, mask):
    for number in range(8):
        picture(f"images/{number}.jpg")
        mask(f"images/labels/{number}_seg.png")
    data = prepared(tmp_path, masks=str(tmp_path / "images/labels"), mask_suffix="_seg")
    assert sum(map(len, data.parts.values())) == 8


def test_other_files_and_hidden_ones_are_passed_over(shop):
    for name in ("images/README.md", "images/.thumb.png", "masks/Thumbs.db", "masks/.cache/x.png"):
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / name).touch()
    assert sum(map(len, prepared(shop).parts.values())) == 8


def test_names_need_not_be_ascii(tmp_path, picture, mask):
    for number in range(8):
        picture(f"images/Größe 検査/{number}.PNG")
        mask(f"masks/Größe 検査/{number}.png")
    assert all(name.startswith("Größe 検査/") for name in names(prepared(tmp_path), "train"))


def test_black_and_white_masks_take_a_threshold(shop, mask):
    for number in range(8):
        mask(f"masks/part {number}.png", 200 * (number % 2))
    with pytest.raises(UserError, match="label 200"):
        prepared(shop)
    labels = {
        record["name"]: record["label"]
        for part in prepared(shop, threshold=127).parts.values()
        for record in part
    }
    assert labels["part 1"].sum() == 15
    assert set(np.unique(labels["part 1"])) == {0, 1}


def test_white_masks_are_not_silently_taken_for_void(shop, mask):
    for number in range(8):
        mask(f"masks/part {number}.png", 255)
    with pytest.raises(UserError, match=r"no label image shows a defect; .* --data.threshold 127"):
        prepared(shop)


def test_coloured_masks_take_a_table(shop):
    table = np.array([(0, 0, 0), (255, 0, 0), (255, 255, 255)], np.uint8)
    for number in range(8):
        ids = np.zeros((12, 16), int)
        ids[0], ids[1] = number % 2, 2
        save(Image.fromarray(table[ids]), shop / f"masks/part {number}.png")
    data = prepared(shop, colors=("#000000", "FF0000", "ffffff"))
    assert {
        value for part in data.parts.values() for record in part for value in np.unique(record["label"])
    } == {
        0,
        1,
        255,
    }


def test_the_prepared_copy_follows_the_folder(shop, picture, mask):
    first = prepared(shop)
    assert prepared(shop).parts["train"].directory == first.parts["train"].directory

    edited = mask("masks/part 5.png", 0)
    after_edit = prepared(shop)
    assert after_edit.fingerprint != first.fingerprint

    picture("images/new.png")
    mask("masks/new.png")
    after_addition = prepared(shop)
    assert sum(map(len, after_addition.parts.values())) == 9

    for path in (shop / "images/new.png", shop / "masks/new.png"):
        path.unlink()
    mask("masks/part 5.png", 1)
    os.utime(edited, ns=(1, 1))
    again = prepared(shop)
    assert again.fingerprint == first.fingerprint
    assert again.parts["train"].directory != first.parts["train"].directory


def test_the_fingerprint_is_of_content_not_of_places(shop, tmp_path_factory):
    elsewhere = shutil.copytree(shop, tmp_path_factory.mktemp("other") / "place")
    assert prepared(elsewhere).fingerprint == prepared(shop).fingerprint


@pytest.mark.parametrize("change", [{"seed": 1}, {"classes": ("good", "bad")}, {"test": 0.4}])
def test_options_that_change_the_data_change_the_fingerprint(shop, change):
    assert prepared(shop, **change).fingerprint != prepared(shop).fingerprint


# Wrong input: each is one line that names the file and the remedy.


def missing_images(root):
    shutil.rmtree(root / "images")


def missing_masks(root):
    shutil.rmtree(root / "masks")


def empty_images(root):
    shutil.rmtree(root / "images")
    (root / "images").mkdir()


def no_mask(root):
    (root / "masks/part 3.png").unlink()


def no_image(root):
    (root / "images/part 3.jpg").unlink()


def same_name(root):
    shutil.copy(root / "images/part 3.jpg", root / "images/part 3.png")


def other_size(root):
    save(Image.new("L", (16, 11)), root / "masks/part 3.png")


def strange_label(root):
    save(Image.new("L", (16, 12), 7), root / "masks/part 3.png")


def truncated_mask(root):
    path = root / "masks/part 3.png"
    path.write_bytes(path.read_bytes()[:-30])


def truncated_image(root):
    path = root / "images/part 3.jpg"
    path.write_bytes(path.read_bytes()[:-60])


def broken_link(root):
    (root / "images/part 3.jpg").unlink()
    (root / "images/part 3.jpg").symlink_to(root / "nowhere.jpg")


def few_images(root):
    for number in range(1, 7):
        (root / f"images/part {number}.jpg").unlink()
        (root / f"masks/part {number}.png").unlink()


def control_character(root):
    (root / "images/part 3.jpg").rename(root / "images/part\n3.jpg")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (missing_images, r"images: cannot be read \(No such file or directory\); check the path"),
        (missing_masks, r"masks: cannot be read \(No such file or directory\); check the path"),
        (empty_images, r"images: holds no images \(.*\); check --data.images"),
        (
            no_mask,
            r"images/part 3.jpg: has no label image part 3 in .*masks \(1 of 8 images have none\); add it",
        ),
        (
            no_image,
            r"masks/part 3.png: has no image part 3 in .*images \(1 of 8 label images have none\); add it",
        ),
        (same_name, r"part 3.(png|jpg): has the same name as part 3.(png|jpg); keep one or rename it"),
        (other_size, r"masks/part 3.png: is 16x11 pixels but its image part 3.jpg is 16x12; make both"),
        (
            strange_label,
            r"masks/part 3.png: label 7 is neither a class \(0 to 1\) nor void \(255\); name every",
        ),
        (truncated_mask, r"masks/part 3.png: is damaged \(.*\); replace or remove it"),
        (truncated_image, r"images/part 3.jpg: is damaged \(.*\); replace or remove it"),
        (
            broken_link,
            r"images/part 3.jpg: cannot be read \(No such file or directory\); restore or remove it",
        ),
        (
            few_images,
            r"folder: 2 images leave none for the .* part; add images, or change the --data options",
        ),
        (control_character, r"'part\\n3': is not a name that can be printed; rename the file in .*images"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_file_is_named_with_the_remedy(shop, spoil, problem):
    spoil(shop)
    with pytest.raises(UserError, match=problem) as caught:
        prepared(shop)
    assert "\n" not in str(caught.value)
    assert not list(shop.rglob("dataset_info.json"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"classes": ("background",)}, "data.classes"),
        ({"classes": ("a", "b", "a")}, "data.classes"),
        ({"threshold": 127, "classes": ("a", "b", "c")}, "data.threshold"),
        ({"threshold": 255}, "data.threshold"),
        ({"threshold": 127, "colors": ("000000", "ffffff")}, "data.threshold"),
        ({"colors": ("000000",)}, "data.colors: 1 colors for 2 classes"),
        ({"colors": ("000000", "#000000")}, "data.colors: .* holds a color twice"),
        ({"colors": ("000000", "red")}, "data.colors: 'red' is no color"),
        ({"void": 1}, "data.void: 1 is the id of defect"),
        ({"validation": 0.0}, "data.validation, data.test"),
        ({"test": 1.0}, "data.validation, data.test"),
    ],
)
def test_options_that_contradict_each_other_are_refused(change, problem):
    with pytest.raises(UserError, match=problem):
        Folder(**change)


@pytest.mark.parametrize("option", ["images", "masks"])
def test_a_folder_that_is_not_given_is_asked_for_by_its_flag(tmp_path, option):
    options = {"images": "images", "masks": "masks", option: Folder.__dict__[option]}
    data = Folder(**options)  # as in a config, until the command line names the folder
    with pytest.raises(UserError, match=f"data.{option}: no folder given; pass --data.{option} DIR"):
        data.builder(data_dir=tmp_path, source=None)


def write_groups(root: Path, lines: list[str], head: str = "name,group") -> dict[str, str]:
    (root / "groups.csv").write_text("\n".join([head, *lines]) + "\n")
    return {"groups": str(root / "groups.csv")}


def test_images_of_a_group_stay_in_one_part(tmp_path, picture, mask):
    for number in range(24):
        picture(f"images/deep/{number}.jpg", seed=number)
        mask(f"masks/deep/{number}.png", number % 2)
    groups = write_groups(tmp_path, [f"deep/{number},item {number // 4}" for number in range(24)])
    data = prepared(tmp_path, **groups)
    items = {part: {int(name[5:]) // 4 for name in names(data, part)} for part in data.parts}
    assert sorted(item for part in items.values() for item in part) == list(range(6))
    for part in data.parts.values():
        assert list(part.groups) == [f"item {int(record['name'][5:]) // 4}" for record in part]
    alone = prepared(tmp_path)
    for part in alone.parts.values():
        assert list(part.groups) == [record["name"] for record in part]
    assert alone.fingerprint != data.fingerprint


def test_another_table_of_groups_is_another_set(shop):
    first = prepared(shop, **write_groups(shop, [f"part {k},{k}" for k in range(8)]))
    second = prepared(shop, **write_groups(shop, [f"part {k},pair {k // 2}" for k in range(8)]))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("head", "lines", "problem"),
    [
        ("name,item", [], r"groups\.csv: needs a first line with the columns name and group"),
        ("name,group", ["part 0,1"], r"has no group for part 1 \(7 images have none\); names are as in"),
        ("name,group", ["part 0,1", "part 0,2"], r"has part 0 twice; an image is of one group"),
        ("name,group", [f"part {k}," for k in range(8)], r"has no group for part 0"),
    ],
)
def test_a_broken_table_of_groups_is_named(shop, head, lines, problem):
    with pytest.raises(UserError, match=problem):
        prepared(shop, **write_groups(shop, lines, head))


def test_a_missing_table_of_groups_is_named(shop):
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot be read"):
        prepared(shop, groups=str(shop / "nowhere.csv"))


def test_a_group_in_the_folders_of_two_parts_is_refused(tmp_path, picture, mask):
    for folder in ("train", "val", "test"):
        picture(f"images/{folder}/a.png")
        mask(f"masks/{folder}/a.png")
    groups = write_groups(tmp_path, ["train/a,1", "val/a,2", "test/a,1"])
    with pytest.raises(
        UserError, match=r"groups\.csv: the images of group 1 lie in the folders of two parts"
    ):
        prepared(tmp_path, **groups)
