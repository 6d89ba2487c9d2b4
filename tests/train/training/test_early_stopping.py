"""The monitored figure: early stopping, and the best checkpoint."""

import json

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts
from tests.end_to_end.runs import rows
from tests.tiny import TINY
from train.__main__ import main
from train.errors import UserError
from train.measures.figures import figures
from train.training.early_stopping import check_monitor, monitored, stalled

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
    assert stalled(values, patience) == stops


def test_the_monitored_figure_is_found_by_its_path():
    counts = ConfusionCounts(*np.array([[[9, 3, 0]], [[1, 1, 0]], [[0, 2, 0]]]))
    validation = figures(counts, CLASSES)
    assert monitored(validation, "headline") == 0.5
    assert monitored(validation, "classes.scratch.dice") == pytest.approx(2 / 3)
    assert monitored(validation, "classes.pit.dice") is None


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ("headlin", r"^monitor: .* no figure headlin; did you mean headline\?$"),
        ("classes.pitt.dice", r"did you mean classes\.pit\.dice\?$"),
        ("xyz", r"there are images, headline, "),
    ],
)
def test_a_figure_that_the_validation_part_lacks_is_refused(monitor, message):
    with pytest.raises(UserError, match=message):
        check_monitor(monitor, CLASSES)


@pytest.mark.parametrize("monitor", ["headline", "mean_with_background", "classes.pit.iou.present"])
def test_every_figure_of_the_validation_part_can_be_monitored(monitor):
    check_monitor(monitor, CLASSES)


@pytest.mark.slow
def test_a_run_that_stopped_early_is_evaluated_and_stays_stopped(tmp_path):
    # The number of images never rises.
    options = ["--epochs", "4", "--patience", "1", "--monitor", "images"]
    command = ["fit", str(TINY), "--run-dir", str(tmp_path / "run"), "--data-dir", str(tmp_path), *options]
    for _ in range(2):
        assert main(command) == 0
        assert [row["epoch"] for row in rows(tmp_path / "run")] == [1, 2]
        evaluation = tmp_path / "run" / "evaluation.json"
        assert json.loads(evaluation.read_text())["step"] == 4  # of equals the later one is the best
        evaluation.unlink()
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("stopping early: images has not risen (patience 1)") == 2
