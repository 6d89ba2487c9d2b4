"""Wrong files in a folder: each is refused in one line that names the file and the remedy."""

import json
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from tests.train.data.image_files import save
from tests.train.data.prepared import names, prepare_folder
from train.errors import UserError


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
            r"images/part 3.jpg: has no label image part 3 in .*masks \(images without one: 1 of 8\); add it",
        ),
        (
            no_image,
            r"masks/part 3.png: has no image part 3 in .*images \(label images without one: 1 of 8\); add it",
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
def test_a_wrong_file_is_named_with_the_remedy(eight_images, spoil, problem):
    spoil(eight_images)
    with pytest.raises(UserError, match=problem) as caught:
        prepare_folder(eight_images)
    assert "\n" not in str(caught.value)
    assert not list(eight_images.rglob("dataset_info.json"))


def test_a_part_folder_may_be_a_link(tmp_path, picture, label_image):
    for number in range(8):
        picture(f"images/train/{number}.png")
        label_image(f"masks/train/{number}.png")
    for kind, draw in (("images", picture), ("masks", label_image)):
        draw(f"elsewhere/{kind}/9.png")
        (tmp_path / kind / "test").symlink_to(tmp_path / "elsewhere" / kind)
    assert names(prepare_folder(tmp_path), "test") == {"test/9"}


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "rück") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("image", "label"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_names_are_compared_in_one_form_and_kept_as_they_are(
    eight_images, picture, label_image, image, label
):
    picture(f"images/{image}.png")
    label_image(f"masks/{label}.png")
    lines = "\n".join(["name,group", f"{label},x", *(f"part {k},{k}" for k in range(8))])
    (eight_images / "groups.csv").write_text(lines + "\n")
    data = prepare_folder(eight_images, groups=str(eight_images / "groups.csv"))
    assert image in set.union(*(names(data, part) for part in data.parts))


def test_two_forms_of_one_name_are_twins(eight_images, picture):
    for name in (COMPOSED, DECOMPOSED):
        picture(f"images/{name}.png")
    with pytest.raises(UserError, match="has the same name as"):
        prepare_folder(eight_images)


@pytest.mark.parametrize("space", ["\N{NARROW NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}"])
def test_a_name_may_hold_any_character_but_controls(eight_images, picture, label_image, space):
    picture(f"images/at 9{space}PM.png")
    label_image(f"masks/at 9{space}PM.png")
    assert sum(map(len, prepare_folder(eight_images).parts.values())) == 9


@pytest.mark.parametrize("suffix", [".png", ".PNG", "_mask.png"])
def test_a_suffix_matches_the_extension_in_either_case(tmp_path, picture, label_image, suffix):
    before = suffix[:-4]
    for number in range(8):
        picture(f"images/{number}.jpg")
        label_image(f"images/{number}{before}.{'png' if number % 2 else 'PNG'}")
    data = prepare_folder(tmp_path, masks=None, mask_suffix=suffix)
    assert set.union(*(names(data, part) for part in data.parts)) == set("01234567")


def test_black_and_white_label_images_among_class_ids_are_refused(eight_images, label_image):
    for number in (1, 3):
        label_image(f"masks/part {number}.png", 255)
    with pytest.raises(
        UserError,
        match=r"part 1\.png: holds 0 and 255 like .* but .*part 5\.png holds class ids; save all alike",
    ):
        prepare_folder(eight_images)
    with pytest.raises(
        UserError, match=r"part 5\.png: holds 0 and 1 alone, both black by --data\.threshold 127"
    ):
        prepare_folder(eight_images, threshold=127)
    assert len(prepare_folder(eight_images, threshold=0).parts) == 3


def test_void_beside_a_class_makes_void_of_255_everywhere(eight_images, label_image):
    label_image("masks/part 1.png", 255)
    save(
        Image.fromarray(np.array([[0, 1, 255] * 64], np.uint8).reshape(12, 16)),
        eight_images / "masks/part 3.png",
    )
    assert len(prepare_folder(eight_images).parts) == 3


@pytest.mark.parametrize("missing_is_clean", [False, True])
def test_annotations_of_an_image_that_is_not_there_are_refused(eight_images, missing_is_clean):
    numbers = range(8)
    listed = [{"id": k, "file_name": f"part {k}.jpg", "height": 12, "width": 16} for k in numbers]
    file = eight_images / "all.json"

    def prepare_coco(*others: str, annotated: range = numbers):
        more = [{**listed[0], "id": 8 + k, "file_name": name} for k, name in enumerate(others)]
        shapes = [{"image_id": k, "category_id": 1, "segmentation": [[2, 2, 9, 2, 9, 9]]} for k in annotated]
        categories = [{"id": 1, "name": "defect"}]
        content = {"images": listed + more, "categories": categories, "annotations": shapes}
        file.write_text(json.dumps(content))
        return prepare_folder(eight_images, masks=str(file), missing_is_clean=missing_is_clean)

    assert sum(len(part) for part in prepare_coco("not/there.jpg").parts.values()) == 8
    problem = (
        r"all.json: has annotations of images/part 9.jpg, but .* no such image \(1 of 9 annotated images\)"
    )
    with pytest.raises(UserError, match=problem):
        prepare_coco("images/part 9.jpg", annotated=range(9))
