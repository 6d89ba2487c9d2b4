"""Targets made from labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.targets import label_shares
from tests.balanced_jax import formulas
from tests.balanced_jax.blobs import blobs
from tests.balanced_jax.tolerance import assert_close


@pytest.mark.parametrize("window", [3, 7])
@pytest.mark.parametrize("num_classes", [1, 2, 5])
def test_shares_are_those_of_the_labels_in_the_window(num_classes, window):
    labels = blobs(num_classes)
    shares = label_shares(labels, num_classes, window=window)
    assert shares.dtype == jnp.float32
    for image, of_image in zip(labels, shares, strict=True):
        counts = formulas.counts(image, num_classes, window)
        valid = formulas.valid(image, num_classes)
        total = np.maximum(counts.sum(-1, keepdims=True), 1)
        assert_close(of_image, np.where(valid[..., None], counts / total, 0))
    assert_close(shares.sum(-1), formulas.valid(labels, num_classes).astype(float))


def test_leading_axes_jit_types_and_empty_images_change_nothing():
    labels = blobs(3)
    shares = label_shares(labels, 3)
    for other in (
        jax.jit(lambda y: label_shares(y, 3))(labels),
        label_shares(labels[:, None], 3)[:, 0],
        jax.vmap(lambda y: label_shares(y, 3))(labels),
        label_shares(np.where(labels < 0, 255, labels).astype(np.uint8), 3),
    ):
        np.testing.assert_array_equal(other, shares)
    assert label_shares(np.zeros((2, 0, 5), int), 3).shape == (2, 0, 5, 3)
