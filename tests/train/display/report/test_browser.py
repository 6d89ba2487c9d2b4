"""The report as a browser shows it, on a phone and on a desk."""

import numpy as np
import pytest

from tests.train.display.pages.reading import measure, needs_browser
from tests.train.display.report.pictures import cost_picture, picture
from tests.train.records import epoch_record, evaluation
from train.measures.records import IoUIntervals


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_all_of_it_without_scrolling_sideways(report, tmp_path_factory, width):
    long = "a_name_without_any_space_" * 6
    classes = ("background", long, "blowhole", "break", "crack", "fray", "uneven")
    page = report(
        evaluation=evaluation(
            classes,
            intervals=IoUIntervals(7, (0.4, 0.6), dict.fromkeys(classes, (0.4, 0.6))),
            confusion=(1000 * np.eye(7, dtype=int) + 7).tolist(),
        ),
        epochs=[epoch_record(epoch, classes) for epoch in (1, 2)],
        title=long,
        pictures={"Worst": [picture(long, 0.1), picture("wide", 0.2, (20, 150))]},
        cost_pictures=[cost_picture(long), cost_picture("wide", (20, 150))],
    )
    seen = measure(page, width, tmp_path_factory.mktemp("browser"))
    assert seen["overflow"] <= 0
    assert seen["height"] > 1500
    assert seen["images"] == seen["decoded"] == 10
    assert seen["cells"] == 49
    assert seen["narrowest"] > 80
    assert seen["pixelated"]
