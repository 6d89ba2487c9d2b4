"""The page of a comparison as a browser shows it, on a phone and on a desk."""

import pytest

from tests.train.comparison_records import cell, comparison
from tests.train.display.comparison.pictures import compared_picture
from tests.train.display.pages.reading import measure, needs_browser

LONG = "a_name_without_any_space_" * 6
GRID = {"delta": [f"0.{i}" for i in range(1, 10)], "beta": [f"0.{i}" for i in range(1, 10)]}


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "axes",
    [{"objective": ["cross-entropy", "focal", LONG], "model": [LONG, "UNet"]}, GRID],
    ids=["bars", "heat map"],
)
def test_a_browser_shows_all_of_it_without_scrolling_sideways(write, tmp_path_factory, axes, width):
    failed = cell(LONG, {}, state="failed", error=LONG)
    page = write(
        comparison(axes, title=LONG, cells=[cell(LONG, {}), failed]),
        [compared_picture(LONG), compared_picture("wide", (20, 150))],
    )
    seen = measure(page, width, tmp_path_factory.mktemp("browser"))
    assert seen["overflow"] <= 0
    assert seen["height"] > 1500
    assert seen["images"] == seen["decoded"] == 6
    assert seen["cells"] == (2 * 81 if axes is GRID else 0)
    assert seen["narrowest"] > 80
    assert seen["pixelated"]
