"""The walk over files that all commands share."""

from pathlib import Path

import pytest

from train.data.files import find_files, nfc
from train.errors import UserError

PNG = (".png",)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_are_found_in_order_in_either_case(tmp_path):
    touch(*(tmp_path / name for name in ("b.PNG", "a.png", "deep/c.png", "deep/d.txt", "png")))
    assert find_files(tmp_path, PNG) == [tmp_path / "a.png", tmp_path / "b.PNG", tmp_path / "deep/c.png"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    for name in ("._a.png", ".ipynb_checkpoints/a.png", "deep/.trash/a.png", "__MACOSX/._a.png"):
        touch(tmp_path / name)
    touch(tmp_path / "a.png")
    assert find_files(tmp_path, PNG) == [tmp_path / "a.png"]


def test_a_folder_named_like_an_image_is_entered(tmp_path):
    touch(tmp_path / "slide.png" / "a.png")
    assert find_files(tmp_path, PNG) == [tmp_path / "slide.png/a.png"]


def test_links_to_folders_and_files_are_followed(tmp_path):
    touch(tmp_path / "elsewhere/a.png", tmp_path / "root/c.png")
    (tmp_path / "root/test").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/b.png").symlink_to(tmp_path / "elsewhere/a.png")
    found = find_files(tmp_path / "root", PNG)
    assert [path.relative_to(tmp_path / "root").as_posix() for path in found] == [
        "b.png",
        "c.png",
        "test/a.png",
    ]


def test_an_excluded_folder_is_left_out_behind_a_link(tmp_path):
    touch(tmp_path / "masks/a.png", tmp_path / "root/a.png")
    (tmp_path / "root/link").symlink_to(tmp_path / "masks")
    assert find_files(tmp_path / "root", PNG, excluded=tmp_path / "masks") == [tmp_path / "root/a.png"]


@pytest.mark.parametrize("target", ["..", ".", "../deep"])
def test_a_loop_of_links_is_refused(tmp_path, target):
    touch(tmp_path / "deep/a.png")
    (tmp_path / "deep/loop").symlink_to(target)
    with pytest.raises(
        UserError, match=r"deep/loop: is a link .*; remove the link, or name a folder without"
    ):
        find_files(tmp_path, PNG)


@pytest.mark.parametrize("name", ["test", "a.png"])
@pytest.mark.parametrize("target", ["nowhere", "itself"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path, name, target):
    (tmp_path / name).symlink_to(name if target == "itself" else target)
    with pytest.raises(UserError, match=rf"{name}: cannot be read \(.*\); restore or remove it"):
        find_files(tmp_path, PNG)


def test_composed_and_decomposed_names_are_equal():
    assert nfc("ru\N{COMBINING DIAERESIS}ck") == nfc("r\N{LATIN SMALL LETTER U WITH DIAERESIS}ck")
