"""The step: one answer on any number of devices, compiled once."""

import dataclasses
import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from balanced_jax.diagnostics import diagnose
from balanced_jax.losses import dice_loss, softmax_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask, boundary_mask
from balanced_jax.metrics import confusion_counts
from balanced_jax.models import UNet
from balanced_jax.models.layers import Convolution, Dropout, Mode
from train.config import Augmentation, Input, Ramp, Term
from train.data.example import VOID
from train.measures.decision import decide, one_against_all
from train.measures.ranking import image_scores
from train.parallel import collect, deal, each_device, over_devices, replicate
from train.training.step import (
    AXIS,
    cost_step,
    initial_state,
    judge_step,
    look,
    threshold_step,
    train_step,
    validate_step,
    window_step,
)

OBJECTIVE = {
    "balanced": Term(
        softmax_truncated_cross_entropy,
        options={"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)},
        weights=balance_mask,
        weights_options={"beta": 0.9, "window": 3, "power": Ramp(1.0, 0.0)},
    ),
    "dice": Term(dice_loss, scale=0.5),
}
MODEL = UNet(num_classes=3, width=4, depth=1)
STEPS = 20


def batch(step: int, size: int = 16) -> dict[str, Any]:
    """Images with a dark square each; the first images are void in part or altogether."""
    rng = np.random.default_rng(step)
    image = rng.integers(100, 156, (size, 16, 16, 1)).astype(np.uint8)
    label = np.zeros((size, 16, 16), np.uint8)
    for i in range(size):
        top, left = rng.integers(0, 10, 2)
        label[i, top : top + 6, left : left + 6] = 1 + i % 2
        image[i, top : top + 6, left : left + 6] -= np.uint8(60 + 30 * (i % 2))
    label[0] = VOID
    label[1, :, 3:] = VOID
    label[5, 7] = VOID
    return {
        "image": image,
        "label": label,
        "masks": {},
        "index": np.arange(step * size, (step + 1) * size, dtype=np.int32),
    }


def fresh_state(transformation: optax.GradientTransformation, model: nn.Module = MODEL):
    make = functools.partial(initial_state, model, transformation, (1, 16, 16, 1), 0)
    return jax.jit(make, compiler_options={"xla_backend_optimization_level": 1})()


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
        what=Input(),
        steps=STEPS,
        seed=0,
        skip=0,
        ema=None,
        accumulation=accumulation,
    )
    state = fresh_state(transformation, model)
    if devices == jax.device_count():
        state, mapped, share = replicate(state), over_devices(step), deal
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


def test_eight_devices_take_the_step_of_one():
    (one, losses_of_one), (eight, losses_of_eight) = both(objective=OBJECTIVE, steps=1)
    # Sums over the batch are rounded in another order; a mean of the devices' means is off by .001.
    chex.assert_trees_all_close((one, losses_of_one), (eight, losses_of_eight), atol=2e-6)


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


def test_what_is_dropped_depends_neither_on_the_devices_nor_on_the_parts():
    one, eight = both(objective=OBJECTIVE, steps=2, model=Scored())
    chex.assert_trees_all_close(one, eight, atol=2e-6)
    in_parts = run(1, optax.sgd(0.05), objective=OBJECTIVE, steps=2, model=Scored(), accumulation=2)
    chex.assert_trees_all_close(one, in_parts, atol=2e-6)


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
    step = over_devices(
        functools.partial(
            train_step,
            model=MODEL.clone(axis_name=AXIS),
            transformation=optax.sgd(1.0),
            objective=OBJECTIVE,
            augmentation=Augmentation(),
            what=Input(),
            steps=STEPS,
            seed=0,
            skip=0,
            ema=None,
            accumulation=1,
        )
    )
    before = jax.device_get(fresh_state(optax.sgd(1.0)))
    after, report = step(replicate(before), deal(void))
    chex.assert_trees_all_equal(before.params, jax.device_get(after.params))
    assert all(float(value) == 0 for value in report.terms.values())
    assert float(report.gradient_norm) == 0


def breaks_on_class_2(logits, labels, *, weights=None):
    return jnp.where((labels == 2).any(), jnp.nan, softmax_cross_entropy(logits, labels, weights=weights))


@pytest.mark.parametrize(("skip", "kept"), [(0, 1), (1, 3), (2, 5)])
def test_a_step_that_is_not_finite_leaves_no_trace_and_one_too_many_ends_the_run(skip, kept):
    step = over_devices(
        functools.partial(
            train_step,
            model=MODEL.clone(axis_name=AXIS),
            transformation=optax.adam(1e-2),
            objective={"ce": Term(breaks_on_class_2)},
            augmentation=Augmentation(),
            what=Input(),
            steps=STEPS,
            seed=0,
            skip=skip,
            ema=None,
            accumulation=1,
        )
    )
    state, states, reports = replicate(fresh_state(optax.adam(1e-2))), [], []
    for i in range(5):
        labels = np.zeros((16, 16, 16), np.uint8)
        labels[3] = 2 if i in (1, 3) else 1  # one image, on one device
        state, report = step(state, deal(batch(i) | {"label": labels}))
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


@pytest.mark.parametrize("size", [(16, 16), (11, 20)])
def test_predictions_have_the_size_of_their_images(size):
    height, width = size
    state = fresh_state(optax.sgd(1.0))
    images = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 1)).astype(np.uint8)
    label = np.full((8, 24, 24), VOID, np.uint8)
    label[:, :height, :width] = 1
    usual = {"model": MODEL, "what": Input(size=(16, 16)), "canvas": (24, 24)}
    share = {
        "image": images,
        "label": label,
        "extent": np.full((8, 2), 16, np.float32),
        "size": np.tile(np.float32(size), (8, 1)),
    }
    variables = {"params": state.params, **state.collections}
    logits = MODEL.apply(variables, (images / np.float32(255) - 0.5) / 0.25, train=False)
    assert isinstance(logits, jax.Array)
    scores = jax.image.resize(logits, (8, height, width, 3), "linear", antialias=False)
    probabilities = jax.nn.softmax(scores)
    thresholds = np.quantile(probabilities[..., 1:], 0.7, axis=(0, 1, 2))
    judge = functools.partial(judge_step, thresholds=thresholds, **usual)
    judged = collect(each_device(judge)(state, deal(share)))
    # The same interpolation twice; where two classes tie to rounding, either may win.
    assert (judged.classes[:, :height, :width] == scores.argmax(-1)).mean() > 0.999
    decided = decide(probabilities, thresholds)
    assert set(np.unique(decided)) == {0, 1, 2}
    assert (judged.decided[:, :height, :width] == decided).mean() > 0.999


@pytest.mark.parametrize("corner", [(0, 0), (5, 20)])
def test_a_window_shows_probabilities_of_its_part_of_an_image(corner):
    scores = np.random.default_rng(0).normal(0, 2, (8, 16, 12, 3)).astype(np.float32)
    size = (31, 40)
    batch = {
        "scores": scores,
        "size": np.tile(np.array(size, np.float32), (8, 1)),
        "corner": np.tile(np.array(corner, np.float32), (8, 1)),
    }
    found = jax.jit(functools.partial(window_step, canvas=(13, 24)))(batch)
    whole = jax.nn.softmax(jax.image.resize(scores, (8, *size, 3), "linear", antialias=False))
    top, left = corner
    wanted = whole[:, top : top + 13, left : left + 24]
    np.testing.assert_allclose(found[:, :, : wanted.shape[2]], wanted, rtol=0, atol=1e-5)


def evaluation_batch() -> dict[str, np.ndarray]:
    """A batch for evaluation: images of 16 by 16, labels of 24 by 20 seen by the network at 16 by 16."""
    own = np.full((16, 24, 24), VOID, np.uint8)
    own[..., :20] = np.random.default_rng(0).integers(0, 3, (16, 24, 20))
    return {
        "image": batch(0)["image"],
        "label": own,
        "seen": batch(0)["label"],
        "extent": np.full((16, 2), 16, np.float32),
        "size": np.tile(np.array([24, 20], np.float32), (16, 1)),
    }


def test_validation_counts_as_evaluation_does_and_says_who_holds_the_objective():
    given = evaluation_batch()
    state = fresh_state(optax.sgd(1.0))
    state = dataclasses.replace(state, step=jnp.int32(5))
    of_objective = {"objective": OBJECTIVE, "steps": STEPS}

    def on_devices(step, **more):
        step = functools.partial(step, model=MODEL, what=Input(size=(16, 16)), **more)
        return collect(each_device(step)(state, deal(given)))

    counts, found = on_devices(validate_step, canvas=(24, 24), **of_objective)
    judged = on_devices(judge_step, canvas=(24, 24), thresholds=np.array([0.5, 0.5]))
    chex.assert_trees_all_equal(counts, confusion_counts(judged.classes, given["label"], 3))
    np.testing.assert_array_equal(judged.boundary, boundary_mask(given["label"], 3))
    logits = look(state, jax.tree.map(jnp.asarray, given), model=MODEL, what=Input(size=(16, 16)))
    scores = jax.image.resize(logits, (16, 24, 20, 3), "linear", antialias=False)
    wanted = image_scores(scores, given["label"][..., :20] < 3)
    np.testing.assert_allclose(judged.scores, wanted, atol=1e-5)

    # The same by the library alone, on one device: a quarter of the run is done.
    labels = given["seen"].astype(np.int32)
    mask = balance_mask(labels, 3, beta=0.9, window=3, power=0.75)

    def loss(z, y):
        balanced = softmax_truncated_cross_entropy(z, y, weights=mask, eps_inf=0.075, eps_sup=0.925)
        return balanced + 0.5 * dice_loss(z, y)

    wanted = diagnose(loss, logits, labels, eps_inf=0.075, eps_sup=0.925)
    chex.assert_trees_all_close(found.diagnostics, wanted, atol=1e-5)
    assert set(found.masks) == {"balanced"}
    sums = [np.asarray(mask)[i][labels[i] == k].sum() for i in range(16) for k in range(3)]
    np.testing.assert_allclose(found.masks["balanced"].ravel(), sums, rtol=1e-5)
    np.testing.assert_allclose(on_devices(cost_step, **of_objective), loss(logits, labels), atol=1e-5)


def test_dealt_batches_come_back_in_order():
    x = np.arange(48).reshape(16, 3)
    assert (collect(jnp.asarray(deal(x))) == x).all()


def test_thresholds_are_counted_at_the_images_own_size():
    given = evaluation_batch()
    state = initial_state(MODEL, optax.sgd(1.0), (1, 16, 16, 1), seed=0)
    usual = {"model": MODEL, "what": Input(size=(16, 16))}
    counts = collect(
        each_device(functools.partial(threshold_step, canvas=(24, 24), **usual))(state, deal(given))
    )
    logits = look(state, jax.tree.map(jnp.asarray, given), **usual)
    scores = jax.image.resize(logits, (16, 24, 20, 3), "linear", antialias=False)
    wanted = one_against_all(jax.nn.softmax(scores), given["label"][..., :20].astype(np.int32))
    # Two compilations of one interpolation: a probability may fall on either side of a threshold.
    chex.assert_trees_all_close(counts, wanted, atol=3)
