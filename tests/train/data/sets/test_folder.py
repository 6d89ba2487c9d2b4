"""Folders of images and label images: layouts, options and fingerprints."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.train.data.image_files import save
from tests.train.data.prepared import names, prepare_folder
from train.data.sets import Folder
from train.errors import UserError


def test_two_folders_become_three_parts_with_defects_in_each(eight_images):
    data = prepare_folder(eight_images)
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


def test_gray_images_have_one_channel_unless_another_image_is_in_color(eight_images, picture):
    assert prepare_folder(eight_images).channels == 1
    picture("images/part 3.jpg", size=(12, 16, 3))
    data = prepare_folder(eight_images)
    assert data.channels == 3
    assert {record["image"].shape for part in data.parts.values() for record in part} == {(12, 16, 3)}


def test_the_canvas_holds_every_image_of_a_part(eight_images, picture, label_image):
    picture("images/part 8.png", size=(20, 10))
    label_image("masks/part 8.png", size=(20, 10))
    data = prepare_folder(eight_images)
    shapes = {part: [record["label"].shape for record in records] for part, records in data.parts.items()}
    for part in data.parts:
        assert data.canvas(part) == tuple(np.max(shapes[part], axis=0))
        assert list(data.parts[part].sizes) == shapes[part]


@pytest.mark.parametrize("folders", [("train", "val", "test"), ("training", "Validation", "testing")])
def test_folders_named_after_the_parts_are_the_parts(tmp_path, picture, label_image, folders):
    for folder in folders:
        picture(f"images/{folder}/deep/a.png")
        label_image(f"masks/{folder}/deep/a.png")
    data = prepare_folder(tmp_path)
    for part, folder in zip(("train", "validation", "test"), folders, strict=True):
        assert names(data, part) == {f"{folder}/deep/a"}


def test_a_part_without_folder_is_drawn_from_train(tmp_path, picture, label_image):
    for number in range(8):
        folder = "test" if number < 2 else "train"
        picture(f"images/{folder}/{number}.png")
        label_image(f"masks/{folder}/{number}.png")
    data = prepare_folder(tmp_path)
    assert names(data, "test") == {"test/0", "test/1"}
    assert len(names(data, "validation")) == 2


def test_images_beside_the_folders_of_the_parts_are_refused(eight_images, picture, label_image):
    picture("images/test/a.png")
    label_image("masks/test/a.png")
    with pytest.raises(UserError, match="part 0 lies outside the folders train, val and test"):
        prepare_folder(eight_images)


@pytest.mark.parametrize(
    ("suffix", "name"), [("_mask", "{}_mask.bmp"), (".png", "{}.png"), ("_GT.png", "{}_GT.png")]
)
def test_label_images_may_lie_beside_their_images(tmp_path, picture, label_image, suffix, name):
    for number in range(8):
        picture(f"images/{number}.jpg")
        label_image("images/" + name.format(number))
    data = prepare_folder(tmp_path, masks=None, mask_suffix=suffix)
    assert sum(map(len, data.parts.values())) == 8
    assert names(data, "test") < set("01234567")


def test_label_images_may_lie_in_a_folder_below_the_images_and_have_a_suffix(tmp_path, picture, label_image):
    for number in range(8):
        picture(f"images/{number}.jpg")
        label_image(f"images/labels/{number}_seg.png")
    data = prepare_folder(tmp_path, masks=str(tmp_path / "images/labels"), mask_suffix="_seg")
    assert sum(map(len, data.parts.values())) == 8


@pytest.mark.parametrize("suffix", ["_seg", ".PNG", "_seg.png"])
def test_files_without_the_suffix_are_no_label_images(eight_images, label_image, suffix):
    for path in (eight_images / "masks").iterdir():
        path.rename(path.with_name(f"{path.stem}{suffix if '.' in suffix else suffix + '.png'}"))
    for name in ("part 0_overlay.bmp", "part 0.tif", "notes.bmp"):
        label_image(f"masks/{name}", 7)
    assert sum(map(len, prepare_folder(eight_images, mask_suffix=suffix).parts.values())) == 8


def test_other_and_hidden_files_are_skipped(eight_images):
    for name in ("images/README.md", "images/.thumb.png", "masks/Thumbs.db", "masks/.cache/x.png"):
        (eight_images / name).parent.mkdir(exist_ok=True)
        (eight_images / name).touch()
    assert sum(map(len, prepare_folder(eight_images).parts.values())) == 8


def test_names_need_not_be_ascii(tmp_path, picture, label_image):
    for number in range(8):
        picture(f"images/Größe 検査/{number}.PNG")
        label_image(f"masks/Größe 検査/{number}.png")
    assert all(name.startswith("Größe 検査/") for name in names(prepare_folder(tmp_path), "train"))


def test_black_and_white_label_images_take_a_threshold(eight_images, label_image):
    for number in range(8):
        label_image(f"masks/part {number}.png", 200 * (number % 2))
    with pytest.raises(UserError, match="label 200"):
        prepare_folder(eight_images)
    labels = {
        record["name"]: record["label"]
        for part in prepare_folder(eight_images, threshold=127).parts.values()
        for record in part
    }
    assert labels["part 1"].sum() == 15
    assert set(np.unique(labels["part 1"])) == {0, 1}


def test_white_label_images_are_not_silently_taken_for_void(eight_images, label_image):
    for number in range(8):
        label_image(f"masks/part {number}.png", 255)
    with pytest.raises(UserError, match=r"no label image shows a defect; .* --data.threshold 127"):
        prepare_folder(eight_images)


def test_label_images_in_color_take_a_table_of_colors(eight_images):
    table = np.array([(0, 0, 0), (255, 0, 0), (255, 255, 255)], np.uint8)
    for number in range(8):
        ids = np.zeros((12, 16), int)
        ids[0], ids[1] = number % 2, 2
        save(Image.fromarray(table[ids]), eight_images / f"masks/part {number}.png")
    data = prepare_folder(eight_images, colors=("#000000", "FF0000", "ffffff"))
    assert {
        value for part in data.parts.values() for record in part for value in np.unique(record["label"])
    } == {
        0,
        1,
        255,
    }


def test_a_changed_folder_is_prepared_anew(eight_images, picture, label_image):
    first = prepare_folder(eight_images)
    assert prepare_folder(eight_images).parts["train"].directory == first.parts["train"].directory

    edited = label_image("masks/part 5.png", 0)
    after_edit = prepare_folder(eight_images)
    assert after_edit.fingerprint != first.fingerprint

    picture("images/new.png")
    label_image("masks/new.png")
    after_addition = prepare_folder(eight_images)
    assert sum(map(len, after_addition.parts.values())) == 9

    for path in (eight_images / "images/new.png", eight_images / "masks/new.png"):
        path.unlink()
    label_image("masks/part 5.png", 1)
    os.utime(edited, ns=(1, 1))
    again = prepare_folder(eight_images)
    assert again.fingerprint == first.fingerprint
    assert again.parts["train"].directory != first.parts["train"].directory


def test_the_fingerprint_depends_on_content_not_on_paths(eight_images, tmp_path_factory):
    elsewhere = shutil.copytree(eight_images, tmp_path_factory.mktemp("other") / "place")
    assert prepare_folder(elsewhere).fingerprint == prepare_folder(eight_images).fingerprint


@pytest.mark.parametrize("change", [{"seed": 1}, {"classes": ("good", "bad")}, {"test": 0.4}])
def test_options_that_change_the_data_change_the_fingerprint(eight_images, change):
    assert prepare_folder(eight_images, **change).fingerprint != prepare_folder(eight_images).fingerprint


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
        ({"levels": (5, 5)}, r"data.levels: \(5, 5\) are not two values from 0 to 65535, black first"),
        ({"levels": (0, 65536)}, "data.levels"),
        ({"channels": 1}, "data.channels: 1 is less than 2; leave it out for gray and RGB"),
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
