"""Early stopping: when, by which figure, and for good."""

import dataclasses

import pytest

from tests.end_to_end.runs import rows
from tests.tiny import TINY
from tests.tiny import config as tiny
from train.__main__ import main
from train.errors import UserError
from train.training.early_stopping import check_stopping, stalled

CLASSES = ("background", "scratch", "pit")


@pytest.mark.parametrize(
    ("values", "patience", "stops"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.4], 1, True),
        ([0.5, 0.4], 2, False),
        ([0.5, 0.4, 0.5], 2, True),  # as good is not better
        ([0.5, 0.4, 0.6], 2, False),
        ([0.5, 0.6, 0.4, 0.5], 2, True),
        ([None, None, 0.0], 2, False),
        ([None, None, None], 2, True),
        ([0.5, 0.4, 0.3, 0.2], None, False),
    ],
)
def test_a_run_stops_when_so_many_epochs_brought_nothing_better(values, patience, stops):
    history = [{"validation": {"headline": 1.0, "classes": {"pit": {"dice": value}}}} for value in values]
    assert stalled(history, patience, "classes.pit.dice") == stops


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patience": 2, "stop_by": "headlin"}, r"^stop_by: .* no figure headlin; did you mean headline\?$"),
        ({"patience": 2, "stop_by": "classes.pitt.dice"}, r"did you mean classes\.pit\.dice\?$"),
        ({"stop_by": "classes.pit.dice"}, r"^stop_by: classes\.pit\.dice has no effect without --patience$"),
    ],
)
def test_a_figure_that_is_not_there_or_not_waited_for_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        check_stopping(dataclasses.replace(tiny, **fields), CLASSES)


@pytest.mark.parametrize("name", ["headline", "mean_with_background", "classes.pit.iou.present"])
def test_every_figure_of_the_validation_part_can_be_waited_for(name):
    check_stopping(dataclasses.replace(tiny, patience=1, stop_by=name), CLASSES)


def test_a_run_that_stopped_early_is_evaluated_and_stays_stopped(tmp_path):
    # The number of images never rises.
    options = ["--epochs", "4", "--patience", "1", "--stop-by", "images"]
    command = ["fit", str(TINY), "--run-dir", str(tmp_path / "run"), "--data-dir", str(tmp_path), *options]
    for _ in range(2):
        assert main(command) == 0
        assert [row["epoch"] for row in rows(tmp_path / "run")] == [1, 2]
        (tmp_path / "run" / "evaluation.json").unlink()
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("stopping early: images has not risen (patience 1)") == 2
