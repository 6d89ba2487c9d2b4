"""Changes of logits before a loss, against loops and the authors' recipe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.logits import adjust_logits, penalize_neighbors
from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.targets import label_shares
from tests.balanced_jax import battery
from tests.balanced_jax.blobs import blobs
from tests.balanced_jax.tolerance import assert_close


def logits_of(labels, num_classes, dtype=np.float32):
    return np.random.default_rng(3).normal(size=(*labels.shape, num_classes)).astype(dtype)


def test_adjusted_logits_carry_the_prior_of_the_classes():
    labels, frequencies = blobs(3), np.array([0.9, 0.09, 0.01])
    logits = logits_of(labels, 3)
    by_bayes = np.exp(logits.astype(np.float64)) * frequencies
    by_bayes /= by_bayes.sum(-1, keepdims=True)
    assert_close(jax.nn.softmax(adjust_logits(logits, frequencies)), by_bayes)
    assert_close(adjust_logits(adjust_logits(logits, frequencies), frequencies, tau=-1), logits, logits)
    assert_close(adjust_logits(logits, frequencies, tau=0), logits)


def test_a_common_factor_of_the_frequencies_changes_no_loss():
    labels = blobs(3)
    logits = logits_of(labels, 3)
    costs = [
        softmax_cross_entropy(adjust_logits(logits, np.array(f), tau=0.5), labels)
        for f in ([0.9, 0.09, 0.01], [90, 9, 1])
    ]
    assert_close(costs[0], costs[1])


def test_frequencies_and_tau_may_be_traced():
    labels, frequencies = blobs(3), jnp.array([0.9, 0.09, 0.01])
    logits = logits_of(labels, 3)
    assert_close(
        jax.jit(lambda f, tau: adjust_logits(logits, f, tau=tau))(frequencies, 2.0),
        adjust_logits(logits, frequencies, tau=2.0),
        logits,
    )


def worst_of_neighbors(logits, labels, window):
    """Pixel by pixel and class by class, of one image."""
    result, valid = logits.copy(), np.isin(labels, range(logits.shape[-1]))
    for i, j in np.argwhere(valid):
        rows = slice(max(i - window // 2, 0), i + window // 2 + 1)
        columns = slice(max(j - window // 2, 0), j + window // 2 + 1)
        near, is_valid = labels[rows, columns], valid[rows, columns]
        for k in range(logits.shape[-1]):
            values = logits[rows, columns, k]
            if k == labels[i, j]:
                result[i, j, k] = values[near == k].min()
            else:
                result[i, j, k] = values[is_valid & (near != k)].max()
    return result


def by_the_authors(logits, labels, window):
    """Poolings of one-hot targets with 9999 for what is not looked at, as published; without void pixels."""
    y = np.eye(logits.shape[-1])[labels]
    padding = [(window // 2,) * 2] * 2 + [(0, 0)]

    def pool(x):
        views = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, padding, constant_values=-np.inf), (window, window), axis=(0, 1)
        )
        return views.max((-2, -1))

    smallest = -pool(-(logits * y + 9999 * (1 - y)))
    largest = pool(logits * (1 - y) - 9999 * y)
    return smallest * y + largest * (1 - y)


@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_each_logit_becomes_the_worst_in_the_window(num_classes, window):
    labels = blobs(num_classes)
    logits = logits_of(labels, num_classes)
    penalized = penalize_neighbors(logits, labels, window=window)
    for image in range(len(labels)):
        assert_close(penalized[image], worst_of_neighbors(logits[image], labels[image], window))
    without_void = np.clip(labels[0], 0, num_classes - 1)
    assert_close(
        penalize_neighbors(logits[0], without_void, window=window),
        by_the_authors(logits[0].astype(np.float64), without_void, window),
    )


def test_no_pixel_costs_less_under_its_worst_neighbors():
    labels = blobs(3)
    logits = logits_of(labels, 3)
    penalized = softmax_cross_entropy(penalize_neighbors(logits, labels), labels)
    assert (penalized >= softmax_cross_entropy(logits, labels) - 1e-6).all()


def test_a_gradient_reaches_the_pixel_that_its_neighbors_took():
    labels = np.zeros((1, 3), int)
    logits = np.array([[[2.0, 0.0], [-1.0, 0.0], [2.0, 0.0]]], np.float32)
    gradient = jax.grad(lambda z: penalize_neighbors(z, labels)[..., 0].sum())(logits)
    assert_close(gradient[..., 0], [[0.0, 3.0, 0.0]])
    assert_close(gradient[..., 1], [[0.0, 0.0, 0.0]])


@pytest.mark.parametrize("change", [lambda z, y: adjust_logits(z, (0.9, 0.09, 0.01)), penalize_neighbors])
def test_leading_axes_jit_types_and_empty_images(change):
    labels = blobs(3)
    logits = logits_of(labels, 3)
    whole = change(logits, labels)
    assert whole.dtype == jnp.float32
    for other in (
        change(logits[None], labels[None])[0],
        jax.vmap(change)(logits, labels),
        jax.jit(change)(logits, labels),
    ):
        assert_close(other, whole)
    assert change(logits.astype(jnp.bfloat16), labels).dtype == jnp.float32
    for shape in ((0, 6, 5), (2, 0, 5), (2, 6, 0)):
        assert change(np.zeros((*shape, 3), np.float32), np.zeros(shape, int)).shape == (*shape, 3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_explicit_mesh_axes_change_nothing(axis):
    sharding = battery.sharding(axis, explicit=True)
    labels = blobs(3, (4, 8, 12))
    logits = logits_of(labels, 3)
    divided = (jax.device_put(array, sharding) for array in (logits, labels.astype(np.int32)))
    assert_close(jax.jit(penalize_neighbors)(*divided), penalize_neighbors(logits, labels))
    shares = jax.jit(lambda y: label_shares(y, 3))(jax.device_put(labels.astype(np.int32), sharding))
    assert_close(shares, label_shares(labels, 3))
