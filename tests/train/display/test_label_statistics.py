"""Label statistics on the screen and as a picture."""

import dataclasses
import io

import numpy as np
from PIL import Image

from tests.train.records import label_statistics
from train.display.label_statistics import draw_statistics, statistics_tables
from train.run.log import plain_console


def printed(statistics) -> str:
    """The text of the tables, with single spaces and plain dashes."""
    console = plain_console(width=120, record=True)
    for table in statistics_tables(statistics):
        console.print(table)
    return " ".join(console.export_text().replace("\N{EN DASH}", "-").replace("│", " ").split())


def test_every_table_has_its_numbers():
    text = printed(label_statistics())
    for words in (
        "48 images: 16 train (12 defective), 16 validation (12 defective), 16 test (12 defective)",
        "scratch 12 75 1.23 1.65 30",
        "pit 0 0 0 - -",
        "from 30x50 to 40x60, 2 different sizes; 6.25 % of all pixels on a boundary",
        "scratch 21 4 / 40 / 12345 1 / 3 / 9 2 / 20 / 200",
        "of the training part at 32x48",
        "scratch 1.00 3.50",
        "scratch 0.70 0.40",
        "pit - -",
        "objective paper a reason",
        "beta 0.9 another reason",
        "window 3 a third reason",
        "crop 32x64 a fourth reason",
        "inject none a fifth reason",
    ):
        assert words in text


def test_the_size_of_the_files_is_named():
    statistics = label_statistics()
    at_file_size = dataclasses.replace(statistics.at_input_size, size=None)
    text = printed(dataclasses.replace(statistics, at_input_size=at_file_size))
    assert "at the size of the files" in text


def test_the_picture_has_three_charts_of_the_defects():
    figure = draw_statistics(label_statistics())
    ratios, widths, masks = figure.axes
    assert [tick.get_text() for tick in ratios.get_yticklabels()] == ["scratch", "pit"]
    assert len(ratios.patches) == 4
    assert len(widths.lines) == 2  # the range and the median of scratch; pit has no components
    assert list(np.asarray(masks.lines[0].get_xdata())) == [3, 5]
    file = io.BytesIO()
    figure.savefig(file)
    assert Image.open(file).width > 1000
