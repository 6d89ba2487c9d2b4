"""Fine-tuning: a run starts from another one's best state, and then does without it."""

import dataclasses
import json
import logging
import shutil

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from balanced_jax.models import SegNet, UNet
from tests.tiny import TINY
from tests.tiny import config as tiny
from train.__main__ import main
from train.data.facts import DataFacts
from train.errors import UserError
from train.run.checkpoints import Checkpoints
from train.run.directory import begin_or_resume
from train.training.experiment import Experiment
from train.training.initial import check_initial, first_state
from train.training.state import State

FOUR = DataFacts(("background", "scratch", "spot", "pit"), 1, 16, 5, "abc")
TWO = dataclasses.replace(FOUR, classes=("background", "defect"))


@pytest.fixture
def source(tmp_path):
    """A run of four classes whose best state, of two, is its first."""
    path = tmp_path / "source"
    path.mkdir()
    begin_or_resume(path, tiny, TINY, FOUR)
    for step, headline in ((1, 0.5), (2, 0.25)):
        Checkpoints(path).save(step, kept(step), headline)
    return path


def kept(step: int) -> State:
    """The source's state after a step: no two numbers of an array are equal, none is another step's."""
    shapes = jax.eval_shape(Experiment(tiny, FOUR).random_state)
    return jax.tree.map(lambda x: (step + np.arange(x.size).reshape(x.shape) / 1000).astype(x.dtype), shapes)


def fine_tuning(source, facts: DataFacts = FOUR, model: nn.Module = tiny.model) -> Experiment:
    return Experiment(dataclasses.replace(tiny, init_from=str(source), model=model), facts)


def test_a_run_starts_from_the_best_state_of_another_and_keeps_it(source, tmp_path):
    experiment, best = fine_tuning(source), kept(1)
    check_initial(experiment, tmp_path)
    state = first_state(experiment, tmp_path)
    chex.assert_trees_all_equal((state.params, state.collections), (best.params, best.collections))
    chex.assert_trees_all_equal((state.step, state.optimizer), _at_first(experiment))
    shutil.rmtree(source)
    check_initial(experiment, tmp_path)
    chex.assert_trees_all_equal(first_state(experiment, tmp_path), state)
    metadata = tmp_path / "initial" / "_CHECKPOINT_METADATA"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(content | {"custom_metadata": {}}))  # as of an earlier version
    chex.assert_trees_all_equal(first_state(experiment, tmp_path), state)
    metadata.write_text(json.dumps(content | {"custom_metadata": {"digest": "0"}}))
    with pytest.raises(UserError, match=rf"initial: is damaged \(its content .*, and {source} is read again"):
        first_state(experiment, tmp_path)
    (tmp_path / "initial" / "manifest.ocdbt").unlink()
    with pytest.raises(UserError, match=r"initial: is damaged \(.*; remove this folder"):
        first_state(experiment, tmp_path)


def _at_first(experiment: Experiment):
    state = experiment.random_state()
    return state.step, state.optimizer


def test_scores_of_another_number_of_classes_are_new_and_named(source, tmp_path, caplog):
    experiment, best = fine_tuning(source, TWO), kept(1)
    logging.getLogger("train").addHandler(caplog.handler)
    state = first_state(experiment, tmp_path)
    logging.getLogger("train").removeHandler(caplog.handler)
    fresh = {"logits": experiment.random_state().params["logits"]}
    chex.assert_trees_all_equal(state.params, {**best.params, **fresh})
    chex.assert_trees_all_equal(state.collections, best.collections)
    assert caplog.messages == [
        f"starting from {source}, step 1; it has 4 classes, this run 2, so these are new: "
        "params/logits/bias, params/logits/kernel"
    ]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (UNet(width=2, depth=1), r"params/\S+ is \([\d, ]+\) there, \([\d, ]+\) in this run"),
        (UNet(width=4, depth=1, norm="group"), r"batch_stats/\S+ is \(\d+,\) there, absent in this run"),
        (SegNet(width=4), r"params/\S+ is absent there, \([\d, ]+\) in this run"),
    ],
)
def test_another_network_is_refused_by_its_first_difference(source, tmp_path, model, message):
    with pytest.raises(UserError, match=rf"^init_from: {source}: has another network: {message}$"):
        check_initial(fine_tuning(source, TWO, model), tmp_path)


def test_a_start_that_is_no_run_or_has_no_checkpoint_is_refused(source, tmp_path):
    shutil.rmtree(source / "checkpoints")
    with pytest.raises(UserError, match=r"^init_from: .*has no checkpoint yet"):
        check_initial(fine_tuning(source), tmp_path)
    shutil.rmtree(source)
    with pytest.raises(UserError, match=r"^init_from: .*not a run directory"):
        check_initial(fine_tuning(source), tmp_path)


def test_two_starts_are_refused(source, tmp_path):
    config = dataclasses.replace(tiny, init_from=str(source), pretrained="resnet50.pth")
    with pytest.raises(UserError, match=r"^init_from: a run starts from this or from pretrained"):
        check_initial(Experiment(config, FOUR), tmp_path)


@pytest.mark.slow
def test_a_fine_tuned_run_is_evaluated_again_when_its_source_is_gone(source, tmp_path, capsys):
    run, data = tmp_path / "run", ["--data-dir", str(tmp_path / "prepared")]
    fit = ["fit", str(TINY), "--run-dir", str(run), *data, "--epochs", "1", "--init-from"]
    assert main([*fit, str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("error: init_from: ")
    assert not run.exists()
    assert main([*fit, str(source)]) == 0
    before = json.loads((run / "evaluation.json").read_text())
    shutil.rmtree(source)
    assert main(["evaluate", str(run), *data]) == 0
    assert json.loads((run / "evaluation.json").read_text()) == before
