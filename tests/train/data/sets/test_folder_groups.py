"""Tables of groups, which keep images of one item in one part of a folder."""

from pathlib import Path

import pytest

from tests.train.data.prepared import names, prepare_folder
from train.errors import UserError


def write_groups(root: Path, lines: list[str], head: str = "name,group") -> dict[str, str]:
    (root / "groups.csv").write_text("\n".join([head, *lines]) + "\n")
    return {"groups": str(root / "groups.csv")}


def test_images_of_a_group_stay_in_one_part(tmp_path, picture, label_image):
    for number in range(24):
        picture(f"images/deep/{number}.jpg", seed=number)
        label_image(f"masks/deep/{number}.png", number % 2)
    groups = write_groups(tmp_path, [f"deep/{number},item {number // 4}" for number in range(24)])
    data = prepare_folder(tmp_path, **groups)
    items = {part: {int(name[5:]) // 4 for name in names(data, part)} for part in data.parts}
    assert sorted(item for part in items.values() for item in part) == list(range(6))
    for part in data.parts.values():
        assert list(part.groups) == [f"item {int(record['name'][5:]) // 4}" for record in part]
    alone = prepare_folder(tmp_path)
    for part in alone.parts.values():
        assert list(part.groups) == [record["name"] for record in part]
    assert alone.fingerprint != data.fingerprint


def test_a_changed_table_of_groups_changes_the_fingerprint(eight_images):
    groups = write_groups(eight_images, [f"part {k},{k}" for k in range(8)])
    first = prepare_folder(eight_images, **groups)
    second = prepare_folder(
        eight_images, **write_groups(eight_images, [f"part {k},pair {k // 2}" for k in range(8)])
    )
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("head", "lines", "problem"),
    [
        ("name,item", [], r"groups\.csv: needs a first line with the columns name and group"),
        ("name,group", ["part 0,1"], r"has no group for part 1 \(images without one: 7\); names are as in"),
        ("name,group", ["part 0,1", "part 0,2"], r"has part 0 twice; an image is of one group"),
        ("name,group", [f"part {k}," for k in range(8)], r"has no group for part 0"),
    ],
)
def test_a_broken_table_of_groups_is_named(eight_images, head, lines, problem):
    with pytest.raises(UserError, match=problem):
        prepare_folder(eight_images, **write_groups(eight_images, lines, head))


def test_a_missing_table_of_groups_is_named(eight_images):
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot be read"):
        prepare_folder(eight_images, groups=str(eight_images / "nowhere.csv"))


def test_a_group_in_the_folders_of_two_parts_is_refused(tmp_path, picture, label_image):
    for folder in ("train", "val", "test"):
        picture(f"images/{folder}/a.png")
        label_image(f"masks/{folder}/a.png")
    groups = write_groups(tmp_path, ["train/a,1", "val/a,2", "test/a,1"])
    with pytest.raises(
        UserError, match=r"groups\.csv: the images of group 1 lie in the folders of two parts"
    ):
        prepare_folder(tmp_path, **groups)
