"""Curves for TensorBoard."""

from tests.train.records import CLASSES, NO_FIGURES, epoch_record, figures
from train.display.tensorboard import curves


def test_each_figure_of_an_epoch_has_a_path():
    found = curves(epoch_record(2))
    assert found["loss"] == 0.45
    assert found["terms/dice"] == 0.15
    assert found["validation/headline"] == 0.5
    assert found["validation/classes/scratch/dice"] == 0.62
    assert found["validation/classes/pit/iou/union"] == 0.4 - 0.1
    assert {path.partition("/")[0] for path in found} == {
        "loss",
        "terms",
        "learning_rate",
        "images_per_second",
        "validation",
    }


def test_a_missing_figure_has_no_point():
    validation = figures(headline=None, classes=dict.fromkeys(CLASSES, NO_FIGURES))
    found = curves(epoch_record(1, validation=validation))
    assert "validation/headline" not in found
    assert not any(path.startswith("validation/classes") for path in found)
