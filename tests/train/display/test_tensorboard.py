"""Curves for TensorBoard."""

from tests.train.records import CLASSES, NO_FIGURES, epoch_record, figures
from train.display.tensorboard import curves


def test_each_figure_of_an_epoch_has_a_path():
    result = curves(epoch_record(2))
    assert result["loss"] == 0.45
    assert result["terms/dice"] == 0.15
    assert result["validation/headline"] == 0.5
    assert result["validation/classes/scratch/dice"] == 0.62
    assert result["validation/classes/pit/iou/union"] == 0.4 - 0.1
    assert {path.partition("/")[0] for path in result} == {
        "loss",
        "terms",
        "learning_rate",
        "images_per_second",
        "validation",
    }


def test_a_missing_figure_has_no_point():
    validation = figures(headline=None, classes=dict.fromkeys(CLASSES, NO_FIGURES))
    result = curves(epoch_record(1, validation=validation))
    assert "validation/headline" not in result
    assert not any(path.startswith("validation/classes") for path in result)
