import pytest

from train.data.sets.original import Original
from train.errors import UserError

SET = Original("A Set", "a-set.", "images/*.png", inside=("images", "*.csv"))


@pytest.fixture
def unpacked(tmp_path):
    (tmp_path / "a-set." / "images").mkdir(parents=True)
    (tmp_path / "a-set." / "table.csv").touch()
    return tmp_path


def test_the_source_is_the_folder_or_holds_it(unpacked):
    assert SET.root(unpacked) == SET.root(unpacked / "a-set.") == unpacked / "a-set."


def test_a_folder_that_lacks_something_is_not_the_set(unpacked):
    (unpacked / "a-set." / "table.csv").unlink()
    with pytest.raises(UserError, match=r"A Set is not there; unpack it .* contains a-set\./images/\*\.png"):
        SET.root(unpacked)


def test_without_a_source_it_says_what_to_pass():
    with pytest.raises(UserError, match=r"A Set is not prepared.*--source DIR.*a-set\./images/\*\.png"):
        SET.root(None)
