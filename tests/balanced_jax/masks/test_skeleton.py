"""The mask of skeletons, on the host."""

import jax.numpy as jnp
import numpy as np

from balanced_jax.losses import tversky_loss
from balanced_jax.masks import skeleton_mask
from tests.balanced_jax import formulas
from tests.balanced_jax.blobs import blobs
from tests.balanced_jax.tolerance import assert_close


def test_a_skeleton_is_the_line_through_what_is_labeled_and_widens_inside_it():
    labels = np.zeros((2, 15, 40), np.uint8)
    labels[0, 4:11, 2:38] = 1
    labels[0, 4:11, 20:38] = 2  # classes that touch have one skeleton
    line = skeleton_mask(labels, 3, dilations=0)
    assert line.dtype == np.float32
    assert (line[0, 7, 8:32] == 1).all()
    assert line[0, :, 8:32].sum() == 24
    assert (line[1] == 0).all()
    tube = skeleton_mask(labels, 3)
    assert (tube[0, 5:10, 10:30] == 1).all()
    assert tube[0, :, 10:30].sum() == 5 * 20
    assert (skeleton_mask(labels, 3, dilations=30) == (labels > 0)).all()


def test_a_skeleton_keeps_every_line_and_no_void_pixel():
    labels = blobs(3)
    labels[0, 5] = 1  # a line, one pixel wide
    mask = skeleton_mask(labels, 3)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert (mask[~np.isin(labels, [1, 2])] == 0).all()
    np.testing.assert_array_equal(skeleton_mask(labels[:, None], 3)[:, 0], mask)
    np.testing.assert_array_equal(skeleton_mask(jnp.asarray(labels[1]), 3), mask[1])
    alone = np.zeros((9, 9), int)
    alone[4] = 1
    np.testing.assert_array_equal(skeleton_mask(alone, 2), alone)


def test_the_loss_under_a_skeleton_is_the_recall_of_its_pixels():
    labels = np.zeros((9, 20), int)
    labels[2:7, 2:18], labels[2:7, 12:18] = 1, 2
    mask = skeleton_mask(labels, 3)
    logits = np.random.default_rng(0).normal(size=(9, 20, 3)).astype(np.float32)
    p = formulas.softmax(logits.astype(np.float64))
    recalls = [(mask * p[..., k])[labels == k].sum() / mask[labels == k].sum() for k in (1, 2)]
    loss = tversky_loss(logits, labels, weights=mask, alpha=1e-6, beta=1).mean()
    assert_close(loss, 1 - np.mean(recalls), unit=1e-5)  # of alpha
