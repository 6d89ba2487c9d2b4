"""The charts of a report."""

import math

import pytest

from tests.train.records import CLASSES, epoch_record, figures, loss_shares
from train.display.pages.charts import INK
from train.display.report.curves import learning_curves, loss_share_curves

COLORS = ("#d55e00", "#56b4e9")


def legends(charts) -> dict[str, list[str]]:
    return {chart.title: [line.name for line in chart.lines] for chart in charts}


def test_learning_curves_show_the_loss_and_each_defect_class():
    charts = learning_curves([epoch_record(epoch) for epoch in (1, 2)], COLORS)
    assert legends(charts) == {
        "Training loss": ["sum", "balanced", "dice"],
        "IoU on the validation part": ["scratch", "pit", "mean"],
        "Precision on the validation part": ["scratch", "pit", "mean"],
        "Recall on the validation part": ["scratch", "pit", "mean"],
        "Learning rate": [""],
    }
    iou = charts[1].lines
    assert [line.values for line in iou] == [[0.6, 0.6], [0.4, 0.4], [0.5, 0.5]]
    assert [line.color for line in iou] == [*COLORS, INK]


def test_one_term_and_one_defect_class_need_no_sum_and_no_mean():
    classes = CLASSES[:2]
    charts = learning_curves([epoch_record(1, classes, terms={"dice": 0.9})], COLORS[:1])
    assert [line.name for line in charts[0].lines] == ["dice"]
    assert [line.name for line in charts[1].lines] == ["scratch"]


def test_loss_share_curves_show_error_class_and_boundary():
    charts = loss_share_curves([epoch_record(epoch) for epoch in (1, 2, 3)], COLORS)
    assert legends(charts) == {
        "Share of the loss, over the error": ["epoch 1", "epoch 2", "epoch 3"],
        "Cumulative shares over the error, epoch 3": ["pixels", "loss", "gradient"],
        "Share of the pixels, by error": ["easy", "critical", "hard"],
        "Share of the loss, by error": ["easy", "critical", "hard"],
        "Share of the loss, by class": [*CLASSES, "boundary"],
        "Share of the gradient, by class": [*CLASSES, "boundary"],
        "Mean mask by class (balanced)": [*CLASSES],
    }
    cumulative = charts[1].lines
    assert cumulative[0].values == pytest.approx([i / 20 for i in range(1, 21)])
    assert cumulative[2].values == [None] * 20


def test_one_epoch_has_one_histogram():
    first = loss_share_curves([epoch_record(1, loss_shares=loss_shares(mask={}))], COLORS)
    assert [line.name for line in first[0].lines] == ["epoch 1"]
    assert len(first) == 6


def test_without_an_epoch_there_are_no_charts():
    assert learning_curves([], COLORS) == loss_share_curves([], COLORS) == []


@pytest.mark.parametrize(
    "epochs",
    [
        [epoch_record(1)],
        [epoch_record(1), epoch_record(2, loss=math.nan, terms={"balanced": math.inf, "dice": -1.0})],
        [epoch_record(1, loss=0.0, terms={"dice": 0.0}, learning_rate=0.0)],
        [epoch_record(1), epoch_record(2, validation=figures(headline=None))],
    ],
    ids=["one", "not finite", "zero", "no headline"],
)
def test_charts_are_drawn_for_any_history(epochs):
    for chart in (*learning_curves(epochs, COLORS), *loss_share_curves(epochs, COLORS)):
        assert chart.drawing.startswith("<svg viewBox=")
