"""Objectives that need more than a step: numbers of the training part, and masks made on the host."""

import itertools
import json

import numpy as np
import pytest

from balanced_jax.masks import inverse_weight_mask
from tests.end_to_end.runs import rows
from train.__main__ import main
from train.config import PixelRatio
from train.data.prepare import prepare
from train.run.directory import read_run

CONFIG = """
import dataclasses
from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.masks import fixed_class_weights, inverse_weight_mask
from tests.tiny import config as tiny
from train.config import Config, PixelRatio, Term
from train.data.sets import Generated

config = dataclasses.replace(
    tiny,
    data=Generated(train=16, validation=9, test=8, size=32, seed=1),  # nine images for eight devices
    objective={
        "inverse": Term(softmax_cross_entropy, precomputed=inverse_weight_mask),
        "weighted": Term(
            softmax_cross_entropy, weights=fixed_class_weights, weights_options={"values": PixelRatio()}
        ),
    },
    epochs=2,
)
"""
ADDRESS = "weighted.weights_options.values"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objectives")
    (folder / "mine.py").write_text(CONFIG)
    places = ["--run-dir", str(folder / "run"), "--data-dir", str(folder / "prepared")]
    assert main(["fit", str(folder / "mine.py"), *places]) == 0
    return folder


def test_a_mask_of_the_host_is_trained_with_and_measured(trained):
    config, facts = read_run(trained / "run")
    validation = prepare(config.data, data_dir=trained / "prepared").parts["validation"]
    history = rows(trained / "run")
    assert [row["epoch"] for row in history] == [1, 2]
    assert all(np.isfinite(row["terms"]["inverse"]) for row in history)
    labels = np.stack(list(validation.labels()))
    mask = inverse_weight_mask(labels, len(facts.classes))
    for row, (k, name) in itertools.product(history, enumerate(facts.classes)):
        expected = mask[labels == k].mean() if (labels == k).any() else None
        assert row["loss_shares"]["mask"]["inverse"][name] == pytest.approx(expected, rel=1e-5)


def test_a_run_keeps_its_config_as_it_was_written_and_the_numbers_beside_it(trained):
    config, facts = read_run(trained / "run")
    assert config.objective["weighted"].weights_options == {"values": PixelRatio()}
    content = json.loads((trained / "run" / "config.json").read_text())
    training = prepare(config.data, data_dir=trained / "prepared").parts["train"]
    pixels = np.bincount(np.stack(list(training.labels())).ravel(), minlength=4)
    expected = [1.0, *((pixels.sum() - pixels) / pixels)[1:]]
    assert content["class_weights"] == {ADDRESS: pytest.approx(expected)}
    assert min(content["class_weights"][ADDRESS][1:]) > 2
    mask = rows(trained / "run")[-1]["loss_shares"]["mask"]["weighted"]
    shown = {name: number for name, number in zip(facts.classes, expected, strict=True) if mask[name]}
    assert {name: mask[name] for name in shown} == pytest.approx(shown, rel=1e-5)
    assert f"objective.{ADDRESS}: 1, " in (trained / "run" / "log.txt").read_text()


@pytest.mark.slow
def test_such_a_run_is_evaluated_again_alike(trained):
    before = (trained / "run" / "evaluation.json").read_text()
    assert main(["evaluate", str(trained / "run"), "--data-dir", str(trained / "prepared")]) == 0
    assert (trained / "run" / "evaluation.json").read_text() == before
    assert "PixelRatio" not in (trained / "run" / "report.html").read_text()


@pytest.mark.slow
def test_such_a_run_is_resumed(trained):
    places = ["--run-dir", str(trained / "run"), "--data-dir", str(trained / "prepared")]
    before = (trained / "run" / "config.json").read_text(), rows(trained / "run")
    assert main(["fit", str(trained / "mine.py"), *places]) == 0
    assert ((trained / "run" / "config.json").read_text(), rows(trained / "run")) == before


def test_a_mask_of_the_host_in_the_step_is_refused_in_one_line(trained, capsys):
    (trained / "wrong.py").write_text(CONFIG.replace("precomputed=", "weights="))
    assert main(["fit", str(trained / "wrong.py"), "--data-dir", str(trained / "prepared")]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: objective.inverse.weights: inverse_weight_mask runs on the host")
    assert "give it as precomputed" in message
    assert message.count("\n") == 1


def test_a_ratio_of_a_class_that_training_lacks_is_refused_in_one_line(trained, capsys):
    options = ["--data-dir", str(trained / "prepared"), "--data.seed", "0"]
    assert main(["fit", str(trained / "mine.py"), *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: objective.{ADDRESS}: PixelRatio has no number for the class scratch")
    assert message.count("\n") == 1
