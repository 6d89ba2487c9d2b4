"""Evaluation: which images the report shows, what an interruption leaves, other numbers of devices."""

import dataclasses
import functools
import math

import jax
import pytest

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from tests.untrained import make_run
from train.__main__ import main
from train.commands.evaluate import _PICTURES, worst_and_best
from train.setup import set_up


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with prepared data and a run of batches that the devices cannot share."""
    place = tmp_path_factory.mktemp("evaluate")
    config = dataclasses.replace(tiny, model=UNet(width=4, depth=0), batch_size=3)
    assert config.batch_size % jax.device_count()
    experiment, _ = set_up(config, data_dir=place, source=None)
    make_run(place / "run", experiment)
    return place


def test_a_run_is_evaluated_on_any_number_of_devices_and_an_interruption_leaves_no_evaluation(
    place, monkeypatch
):
    mean = place / "mean"  # of one run, which `evaluate` measures without what `fit` writes besides
    flags = ["--out", str(mean), "--data-dir", str(place)]
    evaluate = functools.partial(main, ["evaluate", str(place / "run"), *flags])
    written = [mean / name for name in ("evaluation.json", "image_counts.csv", "report.html")]
    assert evaluate() == 0
    assert all(path.is_file() for path in written)
    maps = sorted(path.name for path in (mean / "label_maps").iterdir())

    def stop(run_dir, counts):
        raise KeyboardInterrupt

    monkeypatch.setattr("train.commands.evaluate.write_image_counts", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert not written[0].exists()
    monkeypatch.undo()
    assert evaluate() == 0
    assert written[0].is_file()
    assert sorted(path.name for path in (mean / "label_maps").iterdir()) == maps


def test_the_worst_come_first_and_clean_ones_found_clean_never():
    ious = [0.3, math.nan, 0.0, *(0.4 + i / 50 for i in range(20)), 1.0, math.nan]
    figures = sorted(iou for iou in ious if not math.isnan(iou))
    shown = worst_and_best(ious)
    assert [ious[i] for i in shown["Worst"]] == figures[:_PICTURES]
    assert [ious[i] for i in shown["Best"]] == figures[: -_PICTURES - 1 : -1]


def test_no_image_is_shown_twice():
    shown = worst_and_best([0.5] * (_PICTURES + 2))
    assert sorted(shown["Worst"] + shown["Best"]) == list(range(_PICTURES + 2))
