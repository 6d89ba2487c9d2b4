import pytest

from train.data.sets.archive import Archive
from train.errors import UserError

ARCHIVE = Archive("A Set", "a-set.", "images/*.png", patterns=("images", "*.csv"))


@pytest.fixture
def unpacked(tmp_path):
    (tmp_path / "a-set." / "images").mkdir(parents=True)
    (tmp_path / "a-set." / "table.csv").touch()
    return tmp_path


def test_the_source_is_the_folder_of_the_set_or_contains_it(unpacked):
    assert ARCHIVE.root(unpacked) == ARCHIVE.root(unpacked / "a-set.") == unpacked / "a-set."


def test_a_folder_in_which_a_pattern_matches_nothing_is_not_the_set(unpacked):
    (unpacked / "a-set." / "table.csv").unlink()
    with pytest.raises(UserError, match=r"A Set is not there; unpack it .* contains a-set\./images/\*\.png"):
        ARCHIVE.root(unpacked)


def test_a_missing_source_is_asked_for_by_its_flag():
    with pytest.raises(UserError, match=r"A Set is not prepared.*--source DIR.*a-set\./images/\*\.png"):
        ARCHIVE.root(None)
