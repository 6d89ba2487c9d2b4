"""The pieces of a training recipe: each does what its field says, and nothing when left out."""

import dataclasses

import chex
import numpy as np
import optax
import pytest

from tests.train.tiny import config as tiny
from train.config import Adam, Config, CosineDecay, ExponentialDecay
from train.errors import UserError
from train.experiment import check_numbers

EPOCHS, STEPS = 5, 8


def rates(learning_rate: ExponentialDecay | CosineDecay) -> np.ndarray:
    schedule = learning_rate.schedule(EPOCHS, STEPS)
    return np.array([schedule(step) for step in range(EPOCHS * STEPS)])


@pytest.mark.parametrize(
    ("learning_rate", "without"),
    [
        (ExponentialDecay(0.1, 0.5), optax.exponential_decay(0.1, STEPS, 0.5, staircase=True)),
        (CosineDecay(0.1), optax.cosine_decay_schedule(0.1, EPOCHS * STEPS)),
    ],
)
def test_a_rate_without_warm_up_is_the_plain_decay_to_the_bit(learning_rate, without):
    np.testing.assert_array_equal(rates(learning_rate), [without(step) for step in range(EPOCHS * STEPS)])


def test_a_warm_up_rises_in_a_straight_line_and_the_decay_follows_it():
    # A fifth of 40 steps.
    rise = 0.1 * np.arange(1, 9) / 9
    exponential = 0.1 * 0.5 ** np.repeat(np.arange(4), STEPS)
    cosine = 0.05 * (1 + np.cos(np.pi * np.arange(32) / 32))
    for learning_rate, decay in (
        (ExponentialDecay(0.1, 0.5, warmup=0.2), exponential),
        (CosineDecay(0.1, warmup=0.2), cosine),
    ):
        np.testing.assert_allclose(rates(learning_rate), [*rise, *decay], rtol=1e-5)


GRADIENT = {"w": np.float32([[3.0, -1.0], [0.5, 2.0]]), "b": np.float32([-2.0, 1.0])}
PARAMETERS = {"w": np.float32([[0.1, 0.2], [-0.3, 0.4]]), "b": np.float32([0.5, -0.6])}


def test_without_clipping_the_optimiser_is_adam_with_a_penalty_to_the_bit():
    recipe = Adam(CosineDecay(0.1), weight_decay=0.01)
    plain = optax.chain(
        optax.add_decayed_weights(0.01),
        optax.scale_by_adam(),
        optax.scale_by_learning_rate(CosineDecay(0.1).schedule(EPOCHS, STEPS)),
    )
    ours = recipe.transformation(EPOCHS, STEPS)
    chex.assert_trees_all_equal(
        ours.update(GRADIENT, ours.init(PARAMETERS), PARAMETERS),
        plain.update(GRADIENT, plain.init(PARAMETERS), PARAMETERS),
    )


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_clipping_scales_a_long_gradient_down_before_the_penalty_and_leaves_a_short_one(clip):
    penalty = 0.01
    transformation = Adam(weight_decay=penalty, clip=clip).transformation(EPOCHS, STEPS)
    _, (_, _, adam, _) = transformation.update(GRADIENT, transformation.init(PARAMETERS), PARAMETERS)
    norm = np.sqrt(sum((x**2).sum() for x in GRADIENT.values()))
    for name, gradient in GRADIENT.items():
        clipped = gradient * min(1, clip / norm) + penalty * PARAMETERS[name]
        # Adam's first moment after one step is a tenth of what it was given.
        np.testing.assert_allclose(adam.mu[name], 0.1 * clipped, rtol=1e-5)


def with_rate(learning_rate: ExponentialDecay | CosineDecay) -> Config:
    return dataclasses.replace(tiny, optimizer=Adam(learning_rate))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (with_rate(CosineDecay(warmup=1.0)), "optimizer.learning_rate.warmup: is 1.0, takes a share of"),
        (with_rate(ExponentialDecay(warmup=-0.1)), "optimizer.learning_rate.warmup: is -0.1, takes"),
        (dataclasses.replace(tiny, optimizer=Adam(clip=0.0)), "optimizer.clip: is 0.0, takes a number"),
    ],
)
def test_impossible_numbers_are_refused_by_their_field(config, message):
    with pytest.raises(UserError) as refused:
        check_numbers(config)
    assert str(refused.value).startswith(message)
