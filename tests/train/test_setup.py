"""What a config and the facts of its data make together, before any data is read."""

import dataclasses

import pytest

from tests.tiny import config as tiny
from train.config import Config, Input, Sampling
from train.data.facts import DataFacts
from train.errors import UserError
from train.setup import _check_sampling
from train.training.experiment import Experiment


def facts(defective: int) -> DataFacts:
    return DataFacts(("background", "defect"), 1, 50, defective, "abc")


def config(sampling: Sampling, crop: tuple[int, int] | None = (24, 24)) -> Config:
    return dataclasses.replace(tiny, sampling=sampling, input=Input(crop=crop))


@pytest.mark.parametrize(
    ("sampling", "defective", "steps"),
    [
        (Sampling(), 20, 6),
        (Sampling(passes=3), 20, 18),
        (Sampling(balanced=True), 20, 5),
        (Sampling(balanced=True), 31, 4),
        (Sampling(balanced=True, passes=2), 31, 8),
    ],
)
def test_the_steps_of_an_epoch_follow_from_the_sampling(sampling, defective, steps):
    experiment = Experiment(config(sampling), facts(defective))
    assert experiment.steps_per_epoch == steps


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(True), Sampling(True, 1.0), Sampling(centered=0.3), Sampling(inject=0.5)],
)
def test_sampling_that_fits_the_data_is_let_pass(sampling):
    _check_sampling(config(sampling), facts(20))


def test_crops_that_are_not_there_cannot_be_centered():
    with pytest.raises(UserError, match=r"^sampling\.centered: 0\.5 has no effect .*; give --input\.crop"):
        _check_sampling(config(Sampling(centered=0.5), crop=None), facts(20))


@pytest.mark.parametrize("defective", [0, 50])
def test_one_kind_of_images_cannot_take_turns(defective):
    with pytest.raises(UserError, match=rf"^sampling\.balanced: {defective} of the 50 training images show"):
        _check_sampling(config(Sampling(balanced=True)), facts(defective))


def test_where_no_image_shows_a_defect_none_can_be_injected():
    with pytest.raises(
        UserError, match=r"^sampling\.inject: no training image shows a defect .*; leave it out"
    ):
        _check_sampling(config(Sampling(inject=0.5)), facts(0))
