"""The fast order of the Lovász-softmax loss against the plain one, and both at sizes beyond the battery's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import lovasz, lovasz_softmax_loss
from tests.balanced_jax.tolerance import assert_close

ROWS = {
    "of all sizes": lambda rng, n: rng.random(n),
    "in ties": lambda rng, n: rng.integers(0, 4, n) / 4,
    "nearly in ties": lambda rng, n: 0.5 + rng.integers(0, 4, n) * 2.0**-24,
    "of 0 and 1": lambda rng, n: rng.integers(0, 2, n),
    "of 1 and what rounding adds": lambda rng, n: 1 + rng.integers(0, 4, n) * 2.0**-23,
    "near 0": lambda rng, n: 2.0 ** rng.integers(-126, -20, n),
    "all equal": lambda rng, n: np.full(n, 0.3),
}


def plainly(monkeypatch):
    """From here on orders are the plain ones."""
    monkeypatch.setattr(lovasz, "_argsort_by_bits", lovasz._argsort)


@pytest.mark.parametrize("errors", ROWS)
@pytest.mark.parametrize("size", [1, 2, 255, 257, 65537, 512 * 512])
def test_the_order_by_bits_is_the_plain_one(errors, size):
    error = ROWS[errors](np.random.default_rng(size), (2, size)).astype(np.float32)
    order = jax.jit(lovasz._argsort_by_bits)(error)
    assert order.dtype == jnp.int32
    np.testing.assert_array_equal(order, jax.jit(lovasz._argsort)(error))
    np.testing.assert_array_equal(order, np.argsort(-error, axis=-1, kind="stable"))


def test_the_order_by_bits_holds_beyond_2_to_the_16_rows_and_all_leading_axes():
    error = np.random.default_rng(0).integers(0, 9, (2, 1, 2, 2**18 + 1)).astype(np.float32) / 8
    expected = np.argsort(-error, axis=-1, kind="stable")
    for order in (lovasz._argsort_by_bits, jax.jit(jax.vmap(lovasz._argsort_by_bits))):
        np.testing.assert_array_equal(order(jnp.asarray(error)), expected)


def both(logits, labels, weights, classes):
    def total(z):
        cost = lovasz_softmax_loss(z, labels, weights=weights, classes=classes)
        return jnp.sum(cost), cost

    return jax.jit(jax.grad(total, has_aux=True))(logits)


@pytest.mark.parametrize(("weighted", "classes"), [(True, "present"), (False, "all")])
@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize(
    "size", [(15, 17), *(pytest.param(s, marks=pytest.mark.slow) for s in ((16, 16), (37, 7)))]
)
def test_map_and_gradient_by_bits_are_the_plain_ones(monkeypatch, size, num_classes, weighted, classes):
    rng = np.random.default_rng(num_classes)
    logits = rng.integers(-3, 4, (2, *size, num_classes)).astype(np.float32)  # hence many ties
    labels = rng.choice([-1, 255, *range(num_classes - 1)], (2, *size))  # void, and an absent class
    labels[0, :2] = 0
    weights = rng.integers(0, 3, labels.shape).astype(np.float32) if weighted else None
    by_bits = both(logits, labels, weights, classes)
    plainly(monkeypatch)
    for fast, plain in zip(by_bits, both(logits, labels, weights, classes), strict=True):
        np.testing.assert_array_equal(fast, plain)


@pytest.mark.parametrize("weighted", [False, True])
def test_at_512x512_map_and_gradient_are_those_of_double_precision(weighted):
    # Multiples of a quarter, so that errors are tied, or far enough apart for either precision.
    rng = np.random.default_rng(0)
    margins = rng.integers(-20, 21, (512, 512)).astype(np.float32) / 4
    logits = np.stack([np.zeros_like(margins), margins], axis=-1)
    labels = rng.choice([0, 1, 255], margins.shape, p=[0.9, 0.05, 0.05])
    weights = rng.uniform(0, 3, margins.shape).astype(np.float32) if weighted else None
    gradient, cost = both(logits, labels, weights, "present")
    with jax.enable_x64(True):
        gradient64, cost64 = both(logits.astype(np.float64), labels, weights, "present")
    assert cost64.dtype == jnp.float64
    assert_close(cost, cost64)
    assert_close(gradient, gradient64)


def test_two_classes_share_one_sort():
    shapes = jax.ShapeDtypeStruct((4, 5, 2), jnp.float32), jax.ShapeDtypeStruct((4, 5), jnp.int32)
    assert str(jax.make_jaxpr(lovasz_softmax_loss)(*shapes)).count(" sort[") == 1
