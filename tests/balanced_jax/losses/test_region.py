"""Region losses by their textbook definitions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import losses
from balanced_jax.losses import dice_loss, lovasz_softmax_loss, masked_mean
from balanced_jax.masks import valid_mask
from tests.balanced_jax import formulas
from tests.balanced_jax.tolerance import assert_close
from tests.balanced_jax.x64 import enable_x64


def over_classes(logits, labels, weights, classes, cost, absent):
    """Mean of `cost(p, y, w)` over the classes that are labeled, and, under "all", of `absent(p, w)`."""
    p, inside = formulas.softmax(logits.astype(float)), labels < 3
    costs = []
    for k in range(3):
        q, y, w = p[inside, k], labels[inside] == k, weights[inside].astype(float)
        if w[y].sum() > 0:
            costs.append(cost(q, y, w))
        elif classes == "all":
            costs.append(absent(q, w))
    return np.mean(costs)


def false_alarm(p, w):
    f = (w * p).sum() / w.sum()
    return f / (f + 0.1)


def dice(p, y, w):
    return 1 - 2 * (w * p * y).sum() / ((w * p).sum() + (w * y).sum())


def jaccard(p, y, w):
    overlap = (w * p * y).sum()
    return 1 - overlap / ((w * p).sum() + (w * y).sum() - overlap)


def tversky(p, y, w, alpha=0.3, beta=0.7):
    true, false, missed = (w * p * y).sum(), (w * p * ~y).sum(), (w * (1 - p) * y).sum()
    return 1 - true / (true + alpha * false + beta * missed)


def lovasz(p, y, w):
    """As the authors write it, with sums of weights where they count pixels."""
    order = np.argsort(-np.abs(y - p), kind="stable")
    intersection = (w * y).sum() - np.cumsum(w[order] * y[order])
    union = (w * y).sum() + np.cumsum(w[order] * ~y[order])
    steps = np.diff(1 - intersection / union, prepend=0)
    return np.dot(np.abs(y - p)[order], steps)


def largest_error(p, w):
    return p[w > 0].max()


def generalized_dice(logits, labels, weights):
    p, inside = formulas.softmax(logits.astype(float)), labels < 3
    sums = []
    for k in range(3):
        q, y, w = p[inside, k], labels[inside] == k, weights[inside].astype(float)
        if w[y].sum() > 0:
            sums.append(np.array([2 * (w * q * y).sum(), (w * (q + y)).sum()]) / w[y].sum() ** 2)
    return 1 - np.divide(*np.sum(sums, axis=0))


PRICES = {"alpha": 0.3, "beta": 0.7}
TEXTBOOK = {
    "dice_loss": ({}, dice, false_alarm),
    "iou_loss": ({}, jaccard, false_alarm),
    "tversky_loss": (PRICES, tversky, false_alarm),
    "focal_tversky_loss": (
        PRICES,
        lambda p, y, w: tversky(p, y, w) ** 0.75,
        lambda p, w: false_alarm(p, w) ** 0.75,
    ),
    "lovasz_softmax_loss": ({}, lovasz, largest_error),
}


@pytest.mark.parametrize("classes", ["present", "all"])
@pytest.mark.parametrize("name", TEXTBOOK)
def test_the_mean_of_the_map_is_the_textbook_value_in_double_precision(name, classes):
    logits, labels, weights = images_of_two_and_three_classes()
    options, cost, absent = TEXTBOOK[name]
    loss = functools.partial(getattr(losses, name), classes=classes, **options)
    images = zip(logits, labels, weights, strict=True)
    expected = np.mean([over_classes(*image, classes, cost, absent) for image in images])
    assert mean_in_double_precision(loss, logits, labels, weights) == pytest.approx(expected, rel=1e-14)


def test_the_mean_of_generalized_dice_is_the_textbook_value_in_double_precision():
    images = images_of_two_and_three_classes()
    expected = np.mean([generalized_dice(*image) for image in zip(*images, strict=True)])
    value = mean_in_double_precision(losses.generalized_dice_loss, *images)
    assert value == pytest.approx(expected, rel=1e-14)


def images_of_two_and_three_classes():
    """Logits, labels with void, and weights, 0 at some pixels."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((2, 8, 9)) < 0.2, 255, rng.integers(0, 3, (2, 8, 9)))
    labels[0][labels[0] == 2] = 1
    weights = rng.uniform(0, 3, labels.shape) * (rng.random(labels.shape) < 0.9)
    return rng.normal(scale=2, size=(*labels.shape, 3)), labels, weights


def mean_in_double_precision(loss, logits, labels, weights):
    with enable_x64(True):
        mean = jax.jit(lambda z: masked_mean(loss(z, labels, weights=weights), valid_mask(labels, 3)))
        return mean(logits).item()


def test_lovasz_of_plain_right_and_wrong_is_one_minus_intersection_over_union():
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, (2, 8, 9))
    loss = jax.jit(lovasz_softmax_loss)(200 * np.eye(3, dtype=np.float32)[answers], labels).mean()
    overlaps = [(answers == k) & (labels == k) for k in range(3)]
    unions = [(answers == k) | (labels == k) for k in range(3)]
    assert_close(loss, 1 - np.mean([a.sum() / b.sum() for a, b in zip(overlaps, unions, strict=True)]))


@pytest.mark.parametrize("ahead", [-1e-3, 0.0, 1e-3])
def test_lovasz_on_either_side_of_a_tie_and_at_it_is_that_of_the_formula(ahead):
    # Of class 1, the first pixel is a false alarm and the second a miss, of the same error at 0.
    margins, labels = np.array([[1.0 + ahead, -1.0, 2.0, 0.5]], np.float32), np.array([[0, 1, 1, 0]])
    logits = np.stack([-margins / 2, margins / 2], -1)
    value, back = jax.vjp(lambda z: lovasz_softmax_loss(z, labels), logits)
    formula = functools.partial(formulas.lovasz_softmax_loss, labels=labels)
    assert_close(value, formula(logits.astype(float)))
    gradient = formulas.gradient(formula, logits.astype(float), np.ones((1, 4)))
    assert_close(back(jnp.ones_like(value))[0], gradient)


def test_lovasz_at_512x512_is_that_of_the_authors_in_double_precision():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(512, 512, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 255], (512, 512), p=[0.9, 0.04, 0.01, 0.05])
    weights = rng.uniform(0, 3, labels.shape).astype(np.float32)
    expected = over_classes(logits, labels, weights, "present", lovasz, largest_error)
    value = masked_mean(jax.jit(lovasz_softmax_loss)(logits, labels, weights=weights), labels < 3)
    assert_close(value, expected)


@pytest.mark.parametrize("name", [*TEXTBOOK, "generalized_dice_loss"])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_pixel_that_is_nan_but_not_void_is_not_hidden(name, num_classes):
    logits = np.zeros((2, 3, num_classes), np.float32)
    logits[1, 1] = np.nan
    labels = np.array([[0, 1, 255], [0, 1, 1]])
    cost = getattr(losses, name)(logits, labels)
    assert jnp.isnan(cost[1, 1])
    # The steps of Lovász are the ranks of errors: those of other pixels have a value.
    assert jnp.isnan(cost[labels < 2]).all() or name == "lovasz_softmax_loss"
    assert cost[0, 2] == 0


@pytest.mark.parametrize("size", [32, 512])
def test_a_small_defect_missed_altogether_costs_one_class(size):
    labels = np.zeros((size, size), np.uint8)
    labels[:2, :2] = 1
    logits = np.zeros((size, size, 2), np.float32) + np.array([40, 0], np.float32)
    background = 1 - 2 * (size**2 - 4) / (2 * size**2 - 4)
    assert_close(jax.jit(dice_loss)(logits, labels).mean(), (1 + background) / 2)


def test_a_pixel_of_weight_0_does_not_make_its_class_present():
    logits = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32)
    labels = np.zeros((4, 4), int)
    labels[0, 0] = 1
    weights = np.ones((4, 4), np.float32)
    weights[0, 0] = 0
    void = np.where(weights == 0, 255, labels)
    sums = [jax.jit(dice_loss)(logits, y, weights=weights).sum() for y in (labels, void)]
    assert_close(sums[0] / 16, sums[1] / 15)


def test_a_batch_in_one_is_one_tall_image():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 4, 5, 3)).astype(np.float32), rng.integers(0, 3, (2, 4, 5))
    pooled = jax.jit(dice_loss)(logits.reshape(-1, 5, 3), labels.reshape(-1, 5))
    assert_close(pooled, formulas.dice_loss(logits.reshape(-1, 5, 3).astype(float), labels.reshape(-1, 5)))


@pytest.mark.parametrize("name", [*TEXTBOOK, "generalized_dice_loss"])
def test_the_gradient_at_the_weights_is_the_difference_quotient(name):
    logits, labels, weights = images_of_two_and_three_classes()
    rng, loss = np.random.default_rng(1), getattr(losses, name)
    cotangent, ahead = rng.normal(size=weights.shape), rng.normal(size=weights.shape) * (weights > 0)
    with enable_x64(True):
        total = jax.jit(lambda w: jnp.vdot(cotangent, loss(logits, labels, weights=w)))
        slope = np.vdot(jax.jit(jax.grad(total))(weights), ahead)
        quotient = (total(weights + 1e-5 * ahead) - total(weights - 1e-5 * ahead)) / 2e-5
    assert slope == pytest.approx(float(quotient), rel=1e-7)


@pytest.mark.parametrize("shape", [(1000, 2000), (1001, 2001)])
def test_sums_over_uniform_images_do_not_drift(shape):
    labels = np.zeros(shape, np.uint8)
    labels[: shape[0] // 2] = 1
    logits = np.zeros((*shape, 3), np.float32) + np.array([0.3, 0.1, -1], np.float32)
    assert_close(jax.jit(dice_loss)(logits, labels), formulas.dice_loss(logits.astype(float), labels))


@pytest.mark.slow
def test_labels_and_weights_may_be_the_same_on_all_shards():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(8, 5, 6, 3)).astype(np.float32), rng.integers(0, 3, (1, 5, 6))
    weights = rng.uniform(0, 2, labels.shape).astype(np.float32)
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    batch, everywhere = jax.sharding.PartitionSpec("batch"), jax.sharding.PartitionSpec()

    def gradients(z, w):
        return jax.grad(lambda z, w: dice_loss(z, labels, weights=w).sum(), (0, 1))(z, w)

    sharded = jax.shard_map(gradients, mesh=mesh, in_specs=(batch, everywhere), out_specs=(batch, everywhere))
    alone = [gradients(z[None], weights) for z in logits]
    by_logits, by_weights = jax.jit(sharded)(logits, weights)
    assert_close(by_logits, np.concatenate([z for z, _ in alone]))
    assert_close(by_weights, sum(w for _, w in alone))
