"""The pieces of a training recipe: each does what its field says, and nothing when left out."""

import dataclasses
import math
from typing import Any

import chex
import jax
import numpy as np
import optax
import pytest

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from train.config import Adam, Augmentation, CosineDecay, ExponentialDecay, Input, Sampling
from train.data.facts import DataFacts
from train.errors import UserError
from train.inference.tiles import Predictor, Tiling
from train.inference.viewers import validator
from train.measures.records import EpochRecord
from train.parallel import map_training, replicate, shard
from train.run.checkpoints import Checkpoints
from train.run.files import read_rows
from train.run.interrupt import Interruption
from train.setup import set_up
from train.training.experiment import Experiment
from train.training.loop import load_progress, train

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


GRADIENT: Any = {"w": np.array([[3.0, -1.0], [0.5, 2.0]], np.float32), "b": np.array([-2.0, 1.0], np.float32)}
PARAMETERS: Any = {
    "w": np.array([[0.1, 0.2], [-0.3, 0.4]], np.float32),
    "b": np.array([0.5, -0.6], np.float32),
}


def test_without_clipping_the_optimizer_is_adam_with_a_penalty_to_the_bit():
    recipe = Adam(CosineDecay(0.1), weight_decay=0.01)
    plain = optax.chain(
        optax.add_decayed_weights(0.01),
        optax.scale_by_adam(),
        optax.scale_by_learning_rate(CosineDecay(0.1).schedule(EPOCHS, STEPS)),
    )
    adam = recipe.transformation(EPOCHS, STEPS)
    chex.assert_trees_all_equal(
        adam.update(GRADIENT, adam.init(PARAMETERS), PARAMETERS),
        plain.update(GRADIENT, plain.init(PARAMETERS), PARAMETERS),
    )


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_clipping_scales_a_long_gradient_down_before_the_penalty_and_leaves_a_short_one(clip):
    penalty = 0.01
    transformation = Adam(weight_decay=penalty, clip=clip).transformation(EPOCHS, STEPS)
    state: Any = transformation.update(GRADIENT, transformation.init(PARAMETERS), PARAMETERS)[1]
    adam = state[2]
    norm = np.sqrt(sum((x**2).sum() for x in GRADIENT.values()))
    for name, gradient in GRADIENT.items():
        clipped = gradient * min(1, clip / norm) + penalty * PARAMETERS[name]
        # Adam's first moment after one step is a tenth of what it was given.
        np.testing.assert_allclose(adam.mu[name], 0.1 * clipped, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineDecay(warmup=1.0), "optimizer.learning_rate.warmup: is 1.0, takes a fraction of"),
        (lambda: ExponentialDecay(warmup=-0.1), "optimizer.learning_rate.warmup: is -0.1, takes"),
        (lambda: Adam(clip=0.0), "optimizer.clip: is 0.0, takes a number"),
        (lambda: dataclasses.replace(tiny, patience=0), "patience: is 0, takes at least 1"),
        (lambda: dataclasses.replace(tiny, skip=-1), "skip: is -1, takes at least 0"),
        (lambda: dataclasses.replace(tiny, ema=1.0), "ema: is 1.0, takes a number between 0 and 1"),
        (lambda: Input(size=(0, 8)), "input.size: is 0 8, takes at least 1"),
        (lambda: Input(deviation=0.0), "input.deviation: is 0.0, takes a number above 0"),
        (lambda: Sampling(centered=1.1), "sampling.centered: is 1.1, takes a probability"),
        (lambda: Sampling(centered=math.nan), "sampling.centered: is nan, takes a probability"),
        (
            lambda: Sampling(inject=0.0),
            "sampling.inject: is 0.0, takes a probability above 0",
        ),
        (lambda: Sampling(inject=1.1), "sampling.inject: is 1.1, takes a probability above 0"),
        (lambda: Sampling(inject=math.nan), "sampling.inject: is nan, takes a probability above 0"),
        (lambda: Sampling(passes=0), "sampling.passes: is 0, takes at least 1"),
        (lambda: Augmentation(rotation=181), "augmentation.rotation: is 181, takes 0 to 180"),
        (lambda: Augmentation(brightness=-0.1), "augmentation.brightness: is -0.1, takes at least 0"),
        (lambda: Augmentation(contrast=1.5), "augmentation.contrast: is 1.5, takes 0 to 1"),
    ],
)
def test_impossible_numbers_are_refused_by_their_dataclass(make, message):
    with pytest.raises(UserError) as refused:
        make()
    assert str(refused.value).startswith(message)


def test_a_schedule_of_the_users_own_needs_no_field_but_its_method():
    @dataclasses.dataclass(frozen=True)
    class Constant:
        def schedule(self, epochs, steps_per_epoch):
            return optax.constant_schedule(0.1)

    adam = Adam(Constant())  # pyright: ignore[reportArgumentType]
    assert dataclasses.replace(tiny, optimizer=adam).optimizer.transformation(1, 1) is not None


def steps_of(experiment: Experiment, count: int) -> list[Any]:
    """The states of a run on painted noise, the one before the first step included."""
    state, step = replicate(experiment.random_state()), map_training(experiment.train_step())
    states = [jax.device_get(state)]
    for number in range(count):
        rng = np.random.default_rng(number)
        batch = {
            "image": rng.integers(0, 255, (8, 16, 16, 1)).astype(np.uint8),
            "label": rng.integers(0, 2, (8, 16, 16)).astype(np.uint8),
            "masks": {},
            "index": np.arange(8 * number, 8 * number + 8, dtype=np.int32),
        }
        state, _ = step(state, shard(batch))
        states.append(jax.device_get(state))
    return states


FACTS = DataFacts(("background", "defect"), 1, 16, 5, "abc")


@pytest.mark.slow
def test_the_average_weighs_each_step_by_the_decay_and_forgets_the_start():
    decay = 0.9
    states = steps_of(Experiment(dataclasses.replace(tiny, ema=decay), FACTS), 4)
    weights = decay ** np.arange(3, -1, -1.0)
    chex.assert_trees_all_close(
        states[-1].average,
        jax.tree.map(
            lambda *x: np.average(x, axis=0, weights=weights).astype(np.float32),
            *[(state.params, state.collections) for state in states[1:]],
        ),
        atol=1e-6,
    )
    chex.assert_trees_all_close(states[1].average, (states[1].params, states[1].collections), atol=1e-7)
    # Training itself goes its way as without.
    (*_, plain) = steps_of(Experiment(tiny, FACTS), 4)
    chex.assert_trees_all_close(states[-1].params, plain.params, atol=1e-6)


def test_the_averages_are_what_is_evaluated_from_a_checkpoint(tmp_path):
    experiment = Experiment(dataclasses.replace(tiny, ema=0.9), FACTS)
    state = jax.device_get(experiment.random_state())
    rng = np.random.default_rng(0)
    averages = jax.tree.map(lambda x: rng.uniform(0, 1, x.shape).astype(np.float32), state.average)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, dataclasses.replace(state, average=averages), 0.5)
    image = np.random.default_rng(0).integers(0, 255, (24, 24, 1)).astype(np.uint8)
    examples = [{"image": image, "name": "noise"}] * 2
    predict = Predictor(experiment, (24, 24), Tiling())
    ((_, result), _) = predict(experiment.restore(checkpoints, 1), examples)
    params, collections = averages
    averaged = dataclasses.replace(state, params=params, collections=collections, average=None)
    ((_, expected), _) = predict(averaged, examples)
    ((_, raw), _) = predict(dataclasses.replace(state, average=None), examples)
    np.testing.assert_array_equal(result, expected)
    assert np.abs(result - raw).max() > 0.01


@pytest.mark.slow
def test_training_in_bfloat16_ends_near_training_in_float32(tmp_path):
    def last_epoch(dtype: str) -> EpochRecord:
        config = dataclasses.replace(tiny, model=UNet(width=4, depth=1, dtype=dtype), epochs=20)
        experiment, data = set_up(config, data_dir=tmp_path, source=None)
        run = tmp_path / dtype
        run.mkdir()
        train(
            experiment,
            data,
            run,
            load_progress(experiment, run),
            memory=2**30,
            validate=validator(experiment, data.canvas("validation")),
            interruption=Interruption(lambda step: False, lambda: False),
        )
        return read_rows(run / "metrics.jsonl", EpochRecord)[-1]

    full, half = last_epoch("float32"), last_epoch("bfloat16")
    # Over seeds 0 to 3 the loss ended 1.5, .3, .1 and .4 % from that of float32, the mean IoU .0008 at most:
    # three times the largest, and ten times, which is as little as an IoU of four images shows.
    assert half.loss == pytest.approx(full.loss, rel=0.05)
    means = (row.validation.mean_with_background for row in (half, full))
    assert next(means) == pytest.approx(next(means), abs=0.01)
