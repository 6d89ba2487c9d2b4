"""The training step: equal on any number of devices, compiled once."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.models import UNet
from balanced_jax.models.layers import Convolution, Dropout, Mode
from tests.train.steps import MODEL, OBJECTIVE, STEPS, batch, fresh_state
from train.config import Augmentation, Input, Term
from train.data.example import VOID
from train.parallel import AXIS, map_training, replicate, shard
from train.training.step import Recipe, train_step


def run(
    devices: int,
    transformation: optax.GradientTransformation,
    *,
    objective,
    steps=STEPS,
    step=train_step,
    model: nn.Module = MODEL,
    accumulation: int = 1,
):
    step = functools.partial(
        step,
        model=model.clone(axis_name=AXIS),
        transformation=transformation,
        objective=objective,
        augmentation=Augmentation(),
        recipe=Recipe(Input(), STEPS, seed=0, accumulation=accumulation),
    )
    state = fresh_state(transformation, model)
    if devices == jax.device_count():
        state, mapped, share = replicate(state), map_training(step), shard
    else:
        mapped = jax.pmap(
            step, axis_name=AXIS, in_axes=(None, 0), out_axes=None, devices=jax.devices()[:devices]
        )
        share = functools.partial(jax.tree.map, lambda x: x[None])
    losses = []
    for i in range(steps):
        state, report = mapped(state, share(batch(i)))
        losses.append(jax.device_get(report.terms))
    return jax.device_get(state), losses


def both(**options):
    # SGD, because Adam turns the rounding of a gradient near zero into a whole step.
    return run(1, optax.sgd(0.05), **options), run(8, optax.sgd(0.05), **options)


@pytest.mark.slow
def test_eight_devices_take_the_step_of_one():
    (one, losses_of_one), (eight, losses_of_eight) = both(objective=OBJECTIVE, steps=1)
    # Sums over the batch are rounded in another order; a mean of the devices' means is off by .001.
    chex.assert_trees_all_close((one, losses_of_one), (eight, losses_of_eight), atol=2e-6)


@pytest.mark.slow
def test_eight_devices_train_as_one_does():
    (one, losses_of_one), (eight, losses_of_eight) = both(objective=OBJECTIVE)
    # Where rounding moves a pixel across a kink (of the loss, of a ReLU), that pixel's gradient differs by
    # all of it: .05 / 4096 pixels * a weight of up to 10 a step.
    chex.assert_trees_all_close((one, losses_of_one), (eight, losses_of_eight), atol=5e-4)
    assert losses_of_one[-1]["dice"] < losses_of_one[0]["dice"]

    def classes_of(state):
        variables = {"params": state.params, **state.collections}
        logits = MODEL.apply(variables, batch(0)["image"] / np.float32(255), train=False)
        return np.argmax(np.asarray(logits), -1)

    # So the figures are those of all pixels but such as lie between two classes.
    assert (classes_of(one) == classes_of(eight)).mean() > 0.999


@pytest.mark.slow
def test_a_step_in_parts_is_the_step_of_the_whole_batch():
    # Group norm, because batch norm sees one part at a time; the void of the batch is not evenly shared.
    usual = {"objective": OBJECTIVE, "steps": 2, "model": UNet(num_classes=3, width=4, depth=1, norm="group")}
    whole = run(1, optax.sgd(0.05), **usual)
    in_parts = run(8, optax.sgd(0.05), accumulation=2, **usual)
    chex.assert_trees_all_close(whole, in_parts, atol=2e-6)


class Scored(nn.Module):
    """Drops, and scores its features once more in training."""

    auxiliary: bool = True
    num_classes: int = 3
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, *, train):
        x = Convolution(4, name="features")(images)
        if self.auxiliary and train:
            self.sow("auxiliary", "scores", x[..., :3])
        return Convolution(3, name="logits")(Dropout(0.5, Mode(train))(x))


@pytest.mark.slow
def test_what_is_dropped_depends_neither_on_the_devices_nor_on_the_parts():
    one, eight = both(objective=OBJECTIVE, steps=2, model=Scored())
    chex.assert_trees_all_close(one, eight, atol=2e-6)
    in_parts = run(1, optax.sgd(0.05), objective=OBJECTIVE, steps=2, model=Scored(), accumulation=2)
    chex.assert_trees_all_close(one, in_parts, atol=2e-6)


@pytest.mark.slow
def test_auxiliary_scores_are_judged_by_the_objective_and_weigh_less():
    # The scores as a network's own, under the same changes of the images.
    class Alone(Scored):
        @nn.compact
        def __call__(self, images, *, train):
            return Convolution(4, name="features")(images)[..., :3]

    (state, (terms,)), (other, (fewer,)), (_, (alone,)) = (
        run(1, optax.sgd(0.05), objective=OBJECTIVE, steps=1, model=model)
        for model in (Scored(), Scored(auxiliary=False), Alone())
    )
    assert terms["auxiliary"] == pytest.approx(0.4 * (alone["balanced"] + alone["dice"]), rel=1e-5)
    assert {name: float(terms[name]) for name in fewer} == {name: float(x) for name, x in fewer.items()}
    # Their gradient reaches the features.
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), state.params, other.params)
    assert moved["features"]["kernel"] > 1e-4
    assert moved["logits"]["kernel"] == 0


def test_the_step_is_compiled_once_though_its_numbers_move():
    chex.clear_trace_counter()
    counted = chex.assert_max_traces(train_step, n=1)
    run(8, optax.adam(1e-3), objective=OBJECTIVE, steps=4, step=counted)


def test_a_batch_without_labels_changes_nothing_by_its_gradient():
    void = batch(0) | {"label": np.full((16, 16, 16), VOID, np.uint8)}
    step = map_training(
        functools.partial(
            train_step,
            model=MODEL.clone(axis_name=AXIS),
            transformation=optax.sgd(1.0),
            objective=OBJECTIVE,
            augmentation=Augmentation(),
            recipe=Recipe(Input(), STEPS, seed=0),
        )
    )
    before = jax.device_get(fresh_state(optax.sgd(1.0)))
    after, report = step(replicate(before), shard(void))
    chex.assert_trees_all_equal(before.params, jax.device_get(after.params))
    assert all(float(value) == 0 for value in report.terms.values())
    assert float(report.gradient_norm) == 0


def breaks_on_class_2(logits, labels, *, weights=None):
    return jnp.where((labels == 2).any(), jnp.nan, softmax_cross_entropy(logits, labels, weights=weights))


@pytest.mark.parametrize(
    ("skip", "kept"),
    [(1, 3), *(pytest.param(*numbers, marks=pytest.mark.slow) for numbers in ((0, 1), (2, 5)))],
)
def test_a_step_that_is_not_finite_leaves_no_trace_and_one_too_many_ends_the_run(skip, kept):
    step = map_training(
        functools.partial(
            train_step,
            model=MODEL.clone(axis_name=AXIS),
            transformation=optax.adam(1e-2),
            objective={"ce": Term(breaks_on_class_2)},
            augmentation=Augmentation(),
            recipe=Recipe(Input(), STEPS, seed=0, skip=skip),
        )
    )
    state, states, reports = replicate(fresh_state(optax.adam(1e-2))), [], []
    for i in range(5):
        labels = np.zeros((16, 16, 16), np.uint8)
        labels[3] = 2 if i in (1, 3) else 1  # one image, on one device
        state, report = step(state, shard(batch(i) | {"label": labels}))
        states.append(jax.device_get(state))
        reports.append(jax.device_get(report))
    finite = [bool(np.isfinite(report.gradient_norm)) for report in reports]
    assert finite == [True, False, True, False, True]
    chex.assert_tree_all_finite(states[-1])
    assert states[-1].step == kept
    for i in range(1, 5):
        moves = finite[i] and i < kept
        same = jax.tree.all(jax.tree.map(np.array_equal, states[i - 1].params, states[i].params))
        assert same is not moves
