"""A report to look at."""

import pytest

from tests.train.display.report.inputs import CLASSES, CONFIG, cost_picture, evaluation, picture, row
from train.display.report.page import write_report
from train.inspection.muting import survey


@pytest.fixture
def report(tmp_path):
    """A function that writes a report from usual input, less what it is given, and returns its text."""
    usual = {
        "title": "quickstart-1f3a",
        "config": CONFIG,
        "rows": [row(epoch) for epoch in (1, 2, 3)],
        "evaluation": evaluation(),
        "survey": survey([picture("").label], CLASSES, 3),
        "pictures": {"Worst": [picture("one", 0.1)], "Best": [picture("two", 0.9)]},
        "costs": [cost_picture("one")],
        "predicted_per_second": 123.4,
    }

    def write(**changes) -> str:
        write_report(tmp_path / "report.html", **usual | changes)
        assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write
