"""Losses with probabilities as targets: float64 formulas, the losses of labels, and where they are 0."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import losses
from tests.balanced_jax import formulas
from tests.balanced_jax.tolerance import assert_close

OF_LABELS = {
    losses.softmax_cross_entropy_with_probabilities: losses.softmax_cross_entropy,
    losses.dice_loss_with_probabilities: losses.dice_loss,
    losses.iou_loss_with_probabilities: losses.iou_loss,
}
REGION = (losses.dice_loss_with_probabilities, losses.iou_loss_with_probabilities)
every_loss = pytest.mark.parametrize("loss", OF_LABELS, ids=lambda loss: loss.__name__)
every_region_loss = pytest.mark.parametrize("loss", REGION, ids=lambda loss: loss.__name__)


@functools.cache
def both(loss):
    """Map and gradient of (logits, targets, weights, cotangent), compiled once for each number of classes."""

    def value_and_gradient(z, t, w, g):
        value, back = jax.vjp(lambda z: loss(z, t, weights=w), z)
        return value, back(g)[0]

    return jax.jit(value_and_gradient)


def example(num_classes=3, shape=(2, 5, 6)):
    """Logits, targets of which some pixels are void and some certain, weights, and a cotangent."""
    rng = np.random.default_rng(num_classes)
    logits = (3 * rng.normal(size=(*shape, num_classes))).astype(np.float32)
    targets = rng.dirichlet(np.full(num_classes, 0.5), shape)
    certain = np.eye(num_classes)[rng.integers(0, num_classes, shape)]
    kind = rng.random((*shape, 1))
    targets = np.where(kind < 0.2, certain, np.where(kind < 0.3, 0, targets)).astype(np.float32)
    weights = rng.uniform(0, 2, shape).astype(np.float32)
    return logits, targets, weights, rng.normal(size=shape).astype(np.float32)


def total(values):
    return np.sum(values, axis=(-3, -2), keepdims=True)


def formula(loss, logits, targets, weights):
    """The map of one image in float64, of logits that may be complex and have leading axes."""
    valid = targets.any(-1)
    w = (valid * weights)[..., None]
    if loss not in REGION:
        return -np.sum(w * targets * formulas.log_softmax(logits), axis=-1)
    p = formulas.softmax(logits)
    distance = (p - targets) * np.sign((p - targets).real)
    whole = total(w * p) + total(w * targets)
    if loss is losses.dice_loss_with_probabilities:
        cost = distance / whole
    else:
        cost = 2 * distance / (whole + total(w * distance))
    present = total(w * targets) > 0
    return valid.sum() * np.sum(w * cost * present, axis=-1) / present.sum()


def expected(loss, logits, targets, weights, cotangent):
    values, gradients = [], []
    for z, t, w, g in zip(
        *(x.astype(np.float64) for x in (logits, targets, weights, cotangent)), strict=True
    ):
        of_image = functools.partial(formula, loss, targets=t, weights=w)
        values.append(of_image(z))
        gradients.append(formulas.gradient(of_image, z, g))
    return np.stack(values), np.stack(gradients)


def test_every_loss_with_probabilities_is_tested_here():
    named = {name for name in losses.__all__ if name.endswith("_with_probabilities")}
    assert {loss.__name__ for loss in OF_LABELS} == named


@every_loss
@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_map_and_gradient_are_those_of_the_formula(loss, num_classes):
    arguments = example(num_classes)
    for actual, by_formula in zip(both(loss)(*arguments), expected(loss, *arguments), strict=True):
        assert_close(actual, by_formula, arguments[0])


@every_loss
@pytest.mark.parametrize("size", [1, 30, 1e4])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_one_hot_targets_give_the_loss_of_the_labels(loss, size, num_classes):
    rng = np.random.default_rng(1)
    logits = (size * rng.normal(size=(2, 5, 6, num_classes))).astype(np.float32)
    labels = rng.integers(0, num_classes + 1, (2, 5, 6))  # the last one is void
    targets = np.eye(num_classes + 1, num_classes, dtype=np.float32)[labels]
    _, _, weights, cotangent = example(num_classes)
    value, back = jax.vjp(lambda z: OF_LABELS[loss](z, labels, weights=weights), logits)
    for actual, of_labels in zip(
        both(loss)(logits, targets, weights, cotangent), (value, *back(cotangent)), strict=True
    ):
        assert_close(actual, of_labels, logits)


@every_region_loss
def test_confident_pixels_of_large_images_cost_what_they_cost_with_labels(loss):
    """Where 1 - p has no digits, and the factor of a small class is large."""
    labels = np.zeros((1, 256, 256), int)
    labels[0, 3, 4:8] = 1
    margins = np.random.default_rng(0).uniform(12, 30, labels.shape)
    logits = np.where(np.eye(3)[labels] == 1, margins[..., None], 0).astype(np.float32)
    value, back = jax.vjp(lambda z: loss(z, np.eye(3, dtype=np.float32)[labels]), logits)
    of_labels, back_of_labels = jax.vjp(lambda z: OF_LABELS[loss](z, labels), logits)
    assert_close(value * 1e4, of_labels * 1e4)
    cotangent = np.full(labels.shape, 1e4, np.float32)
    assert_close(back(cotangent)[0], back_of_labels(cotangent)[0])


@every_region_loss
def test_the_loss_is_0_where_the_prediction_is_the_target_and_nowhere_near(loss):
    logits, _, weights, cotangent = example()
    p = formulas.softmax(logits.astype(np.float64))
    value, _ = both(loss)(logits, p.astype(np.float32), weights, cotangent)
    assert_close(value, np.zeros(value.shape))
    for other in (p**2, np.sqrt(p)):
        other = (other / other.sum(-1, keepdims=True)).astype(np.float32)
        assert both(loss)(logits, other, weights, cotangent)[0].mean() > 0.05


def test_the_gradient_of_cross_entropy_is_0_where_the_prediction_is_the_target():
    loss = losses.softmax_cross_entropy_with_probabilities
    logits, _, weights, cotangent = example()
    targets = formulas.softmax(logits.astype(np.float64)).astype(np.float32)
    assert_close(both(loss)(logits, targets, weights, cotangent)[1], np.zeros(logits.shape))


@every_loss
@pytest.mark.parametrize("at_void", [0, np.nan, -np.inf])
def test_void_pixels_and_their_weights_count_for_nothing(loss, at_void):
    logits, targets, weights, cotangent = example(shape=(2, 5, 9))
    logits[..., 6:, :], targets[..., 6:, :], weights[..., 6:] = at_void, 0, np.nan
    value, gradient = both(loss)(logits, targets, weights, cotangent)
    kept = both(loss)(*(array[:, :, :6] for array in (logits, targets, weights, cotangent)))
    assert_close(value[:, :, :6], kept[0], logits)
    assert_close(gradient[:, :, :6], kept[1], logits)
    assert (value[:, :, 6:] == 0).all()
    assert (gradient[:, :, 6:] == 0).all()


@every_loss
def test_leading_axes_types_and_missing_weights_change_nothing(loss):
    logits, targets, weights, cotangent = example()
    value, _ = both(loss)(logits, targets, np.ones_like(weights), cotangent)
    for other in (
        loss(logits, targets),
        loss(logits[None], targets[None])[0],
        jax.vmap(loss)(logits, targets),
    ):
        assert_close(other, value)
    assert_close(loss(logits, targets, weights=np.ones(weights.shape, bool)), value)
    half = loss(jnp.asarray(logits, jnp.bfloat16), jnp.asarray(targets, jnp.bfloat16))
    assert half.dtype == jnp.float32
    assert loss(logits[:0], targets[:0]).shape == (0, 5, 6)


@every_loss
def test_extreme_logits_give_a_finite_map_and_gradient(loss):
    logits, targets, weights, cotangent = example()
    for result in both(loss)(np.sign(logits) * np.float32(1e30), targets, weights, cotangent):
        assert jnp.isfinite(result).all()


@every_loss
def test_targets_have_no_gradient(loss):
    logits, targets, _, _ = example()
    assert (jax.grad(lambda t: loss(logits, t).sum())(targets) == 0).all()
