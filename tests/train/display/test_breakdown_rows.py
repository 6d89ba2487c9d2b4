"""Rows of the confusion matrix and of the components."""

from tests.train.records import breakdown
from train.display.breakdown_rows import component_rows, confusion_rows


def test_rows_of_the_confusion_matrix_sum_to_one_or_are_undefined():
    assert confusion_rows(breakdown()) == {
        "background": [0.9, 0.1, 0.0],
        "scratch": [0.0001, 0.9999, 0.0],
        "pit": [None, None, None],
    }


def test_areas_without_components_have_no_row():
    rows = component_rows(breakdown())
    assert list(rows["scratch"]) == ["16-63", "1024+"]
    assert rows["scratch"]["16-63"].labeled == 17
    assert rows["pit"] == {}
