"""Wrong files in a folder: each is refused in one line that names the file and the remedy."""

import shutil

import pytest
from PIL import Image

from tests.train.data.image_files import save
from tests.train.data.prepared import prepare_folder
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
def test_a_wrong_file_is_named_with_the_remedy(eight_images, spoil, problem):
    spoil(eight_images)
    with pytest.raises(UserError, match=problem) as caught:
        prepare_folder(eight_images)
    assert "\n" not in str(caught.value)
    assert not list(eight_images.rglob("dataset_info.json"))
