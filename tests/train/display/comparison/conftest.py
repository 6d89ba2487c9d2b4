"""A comparison to look at."""

import pytest

from train.display.comparison import page


@pytest.fixture
def write(tmp_path):
    """A function that writes the page of a comparison and returns its text."""

    def write_page(record, pictures=()) -> str:
        page.write_comparison(tmp_path / "comparison.html", record, pictures)
        assert [path.name for path in tmp_path.iterdir()] == ["comparison.html"]
        return (tmp_path / "comparison.html").read_text(encoding="utf-8")

    return write_page
