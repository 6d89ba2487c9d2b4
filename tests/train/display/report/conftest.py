"""A report to look at."""

import pytest

from tests.train.display.report.pictures import CONFIG, cost_picture, picture
from tests.train.records import evaluation, muting
from train.display.report.page import write_report


@pytest.fixture
def report(tmp_path):
    """A function that writes a report from typical arguments and some changes, and returns its text."""
    typical = {
        "title": "quickstart-1f3a",
        "config": CONFIG,
        "epochs": [],  # without charts, whose drawing takes most of the time of a report
        "evaluation": evaluation(),
        "decision": None,
        "muting": muting(),
        "pictures": {"Worst": [picture("one", 0.1)], "Best": [picture("two", 0.9)]},
        "cost_pictures": [cost_picture("one")],
        "predicted_per_second": 123.4,
    }

    def write(**changes) -> str:
        write_report(tmp_path / "report.html", **typical | changes)
        assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write
