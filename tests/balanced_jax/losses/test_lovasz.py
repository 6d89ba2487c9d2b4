"""The Lovász-softmax loss by one sort against two, and at sizes beyond the battery's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import lovasz, lovasz_softmax_loss
from tests.balanced_jax.tolerance import assert_close
from tests.balanced_jax.x64 import enable_x64

ROWS = {
    "of all sizes": lambda rng, n: rng.random(n),
    "in ties": lambda rng, n: rng.integers(0, 4, n) / 4,
    "nearly in ties": lambda rng, n: 0.5 + rng.integers(0, 4, n) * 2.0**-24,
    "of 0 and 1": lambda rng, n: rng.integers(0, 2, n),
    "of 1 and what rounding adds": lambda rng, n: 1 + rng.integers(0, 4, n) * 2.0**-23,
    "near 0": lambda rng, n: 2.0 ** rng.integers(-126, -20, n),
    "all equal": lambda rng, n: np.full(n, 0.3),
}

one_sort = pytest.mark.skipif(
    not hasattr(jax, "enable_x64"), reason="jax before 0.8 cannot have 64 bits in a part of a program"
)


def steps_of(sort, key, pixel, *weight):
    return sort(functools.partial(lovasz._steps_in_order, sides=2, dtype=jnp.float32), key, pixel, *weight)


@one_sort
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("errors", ROWS)
@pytest.mark.parametrize("size", [1, 2, 257, pytest.param(65537, marks=pytest.mark.slow)])
def test_steps_by_one_sort_are_those_by_two(errors, size, weighted):
    rng = np.random.default_rng(size)
    error = ROWS[errors](rng, (2, 1, size)).astype(np.float32)
    pixel = np.arange(size, dtype=np.uint32) << 2 | rng.integers(0, 3, error.shape, np.uint32)
    weight = [rng.integers(0, 3, error.shape).astype(np.float32)] if weighted else []
    fast, plain = (
        jax.jit(functools.partial(steps_of, sort))(~error.view(np.uint32), pixel, *weight)
        for sort in (lovasz._sort_in_one_word, lovasz._sort_there_and_back)
    )
    for actual, expected in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(actual, expected)


def both(logits, labels, weights, classes):
    def total(z):
        cost = lovasz_softmax_loss(z, labels, weights=weights, classes=classes)
        return jnp.sum(cost), cost

    return jax.jit(jax.grad(total, has_aux=True))(logits)


@one_sort
@pytest.mark.parametrize(("weighted", "classes"), [(True, "present"), (False, "all")])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_map_and_gradient_by_one_sort_are_those_by_two(monkeypatch, num_classes, weighted, classes):
    rng = np.random.default_rng(num_classes)
    logits = rng.integers(-3, 4, (2, 15, 17, num_classes)).astype(np.float32)  # hence many ties
    labels = rng.choice([-1, 255, *range(num_classes - 1)], (2, 15, 17))  # void, and an absent class
    labels[0, :2] = 0
    weights = rng.integers(0, 3, labels.shape).astype(np.float32) if weighted else None
    by_one = both(logits, labels, weights, classes)
    monkeypatch.setattr(lovasz, "_sort_in_one_word", lovasz._sort_there_and_back)
    for fast, plain in zip(by_one, both(logits, labels, weights, classes), strict=True):
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
    with enable_x64(True):
        gradient64, cost64 = both(logits.astype(np.float64), labels, weights, "present")
    assert cost64.dtype == jnp.float64
    assert_close(cost, cost64)
    assert_close(gradient, gradient64)


@one_sort
def test_two_classes_share_their_sorts():
    shapes = jax.ShapeDtypeStruct((4, 5, 2), jnp.float32), jax.ShapeDtypeStruct((4, 5), jnp.int32)
    lines = [
        line for line in str(jax.make_jaxpr(lovasz_softmax_loss)(*shapes)).splitlines() if " sort[" in line
    ]
    assert len(lines) == 3  # two, and that of the CPU
    assert all("[1,20]" in line for line in lines)
