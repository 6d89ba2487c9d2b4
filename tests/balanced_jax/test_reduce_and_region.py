"""From maps to numbers: means, and Dice by its textbook definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import dice_loss, masked_mean
from balanced_jax.masks import valid_mask
from tests.balanced_jax import formulas
from tests.balanced_jax.tolerance import assert_close


def test_images_count_alike_however_many_of_their_pixels_are_valid():
    values = np.zeros((3, 2, 4), np.float32)
    values[0], values[1, 0, 0], values[2] = 1, 4, 7
    where = np.zeros(values.shape, bool)
    where[0], where[1, 0, 0] = True, True
    assert masked_mean(values, where) == (1 + 4) / 2
    np.testing.assert_allclose(
        jax.grad(masked_mean)(values, where)[:, 0, :2], [[1 / 16, 1 / 16], [1 / 2, 0], [0, 0]]
    )


def test_without_a_mask_all_pixels_count():
    assert masked_mean(np.arange(8, dtype=np.float32).reshape(2, 2, 2)) == 3.5


def test_values_that_do_not_count_may_be_nan():
    values, where = np.array([[np.nan, 3]], np.float32), np.array([[False, True]])
    value, gradient = jax.value_and_grad(masked_mean)(values, where)
    assert value == 3
    np.testing.assert_array_equal(gradient, [[0, 1]])


def test_the_mean_of_nothing_is_0():
    value, gradient = jax.value_and_grad(masked_mean)(jnp.ones((2, 3, 3)), jnp.zeros((2, 3, 3), bool))
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_large_images_neither_overflow_nor_drift(dtype):
    values, where = jnp.full((4096, 4096), 3e4, dtype), jnp.ones((4096, 4096), bool).at[0].set(False)
    for mean in (masked_mean(values), masked_mean(values, where)):
        assert mean.dtype == jnp.float32
        assert mean == pytest.approx(float(values[0, 0]), rel=1e-6)


def textbook_dice(logits, labels, weights, classes):
    """One minus twice the overlap over the sum, class by class."""
    p, w = np.exp(formulas.log_softmax(logits.astype(float))), np.where(labels < 3, weights, 0)
    costs = []
    for k in range(3):
        y = labels == k
        if (w * y).sum() > 0:
            costs.append(1 - 2 * (w * p[..., k] * y).sum() / ((w * p[..., k]).sum() + (w * y).sum()))
        elif classes == "all":
            f = (w * p[..., k]).sum() / w.sum()
            costs.append(f / (f + 0.1))
    return np.mean(costs)


@pytest.mark.parametrize("classes", ["present", "all"])
@pytest.mark.parametrize("present", [3, 2])
def test_the_mean_of_the_map_is_the_textbook_dice_loss(classes, present):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(2, 8, 9, 3)).astype(np.float32)
    labels = np.where(rng.random((2, 8, 9)) < 0.2, 255, rng.integers(0, present, (2, 8, 9)))
    weights = rng.uniform(0, 3, labels.shape).astype(np.float32)
    value = jax.jit(
        lambda z: masked_mean(dice_loss(z, labels, weights=weights, classes=classes), valid_mask(labels, 3))
    )(logits)
    images = zip(logits, labels, weights, strict=True)
    assert_close(value, np.mean([textbook_dice(*image, classes) for image in images]))


@pytest.mark.parametrize("size", [32, 512])
def test_a_small_defect_missed_altogether_costs_one_class(size):
    labels = np.zeros((size, size), np.uint8)
    labels[:2, :2] = 1
    logits = np.zeros((size, size, 2), np.float32) + np.array([40, 0], np.float32)
    background = 1 - 2 * (size**2 - 4) / (2 * size**2 - 4)
    assert_close(jax.jit(dice_loss)(logits, labels).mean(), (1 + background) / 2)


@pytest.mark.parametrize("classes", ["present", "all"])
def test_a_false_alarm_on_a_clean_image_costs_and_a_good_answer_does_not(classes):
    labels = np.zeros((16, 16), np.uint8)
    alarm = np.zeros((16, 16, 2), np.float32) + np.array([-5, 5], np.float32)

    @jax.jit
    def cost(z):
        return jnp.mean(dice_loss(z, labels, classes=classes))

    assert cost(alarm) > 0.85
    assert (jax.grad(cost)(alarm)[..., 1] > 0).all()  # descent lowers the false score
    assert cost(-alarm) < 1e-3


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
