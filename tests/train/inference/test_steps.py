"""The steps of inference: at the size of the image, equal to the library's functions."""

import dataclasses
import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from balanced_jax.diagnostics import diagnose
from balanced_jax.losses import dice_loss, softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask, boundary_mask
from balanced_jax.metrics import confusion_counts
from tests.train.steps import MODEL, OBJECTIVE, STEPS, batch, fresh_state
from train.config import Input
from train.data.example import VOID
from train.inference.steps import (
    classification_step,
    cost_step,
    logits_step,
    resize_step,
    validation_step,
)
from train.measures.ranking import image_scores
from train.parallel import map_inference, shard, unshard


@pytest.mark.parametrize("size", [(16, 16), (11, 20)])
def test_predictions_have_the_size_of_their_images(size):
    height, width = size
    state = fresh_state(optax.sgd(1.0))
    images = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 1)).astype(np.uint8)
    label = np.full((8, 24, 24), VOID, np.uint8)
    label[:, :height, :width] = 1
    usual = {"model": MODEL, "input": Input(size=(16, 16)), "canvas": (24, 24)}
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
    judged = unshard(map_inference(functools.partial(classification_step, **usual))(state, shard(share)))
    # The same interpolation twice; where two classes tie to rounding, either may win.
    assert (judged.classes[:, :height, :width] == scores.argmax(-1)).mean() > 0.999
    assert judged.probabilities.dtype == np.float32
    np.testing.assert_allclose(
        judged.probabilities[:, :height, :width], probabilities[..., 1:], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("corner", [(0, 0), (5, 20)])
def test_a_window_shows_probabilities_of_its_part_of_an_image(corner):
    logits = np.random.default_rng(0).normal(0, 2, (8, 16, 12, 3)).astype(np.float32)
    size = (31, 40)
    batch = {
        "logits": logits,
        "size": np.tile(np.array(size, np.float32), (8, 1)),
        "corner": np.tile(np.array(corner, np.float32), (8, 1)),
    }
    result = jax.jit(functools.partial(resize_step, canvas=(13, 24)))(batch)
    whole = jax.nn.softmax(jax.image.resize(logits, (8, *size, 3), "linear", antialias=False))
    top, left = corner
    expected = whole[:, top : top + 13, left : left + 24]
    np.testing.assert_allclose(result[:, :, : expected.shape[2]], expected, rtol=0, atol=1e-5)


def evaluation_batch() -> dict[str, Any]:
    """A batch for evaluation: images of 16 by 16, labels of 24 by 20 seen by the network at 16 by 16."""
    own_label = np.full((16, 24, 24), VOID, np.uint8)
    own_label[..., :20] = np.random.default_rng(0).integers(0, 3, (16, 24, 20))
    return {
        "image": batch(0)["image"],
        "label": own_label,
        "input_label": batch(0)["label"],
        "masks": {},
        "extent": np.full((16, 2), 16, np.float32),
        "size": np.tile(np.array([24, 20], np.float32), (16, 1)),
    }


@pytest.mark.slow
def test_validation_counts_as_evaluation_does_and_measures_the_shares_of_the_objective():
    given = evaluation_batch()
    state = fresh_state(optax.sgd(1.0))
    state = dataclasses.replace(state, step=jnp.int32(5))
    of_objective = {"objective": OBJECTIVE, "steps": STEPS}

    def on_devices(step, **more):
        step = functools.partial(step, model=MODEL, input=Input(size=(16, 16)), **more)
        return unshard(map_inference(step)(state, shard(given)))

    counts, result = on_devices(validation_step, canvas=(24, 24), **of_objective)
    judged = on_devices(classification_step, canvas=(24, 24))
    chex.assert_trees_all_equal(counts, confusion_counts(judged.classes, given["label"], 3))
    np.testing.assert_array_equal(judged.boundary, boundary_mask(given["label"], 3))
    logits = logits_step(state, jax.tree.map(jnp.asarray, given), model=MODEL, input=Input(size=(16, 16)))
    scores = jax.image.resize(logits, (16, 24, 20, 3), "linear", antialias=False)
    expected = image_scores(scores, given["label"][..., :20] < 3)
    np.testing.assert_allclose(judged.scores, expected, atol=1e-5)

    # The same by the library alone, on one device: a quarter of the run is done.
    labels = given["input_label"].astype(np.int32)
    mask = balance_mask(labels, 3, beta=0.9, window=3, power=0.75)

    def loss(z, y):
        balanced = softmax_truncated_cross_entropy(z, y, weights=mask, eps_inf=0.075, eps_sup=0.925)
        return balanced + 0.5 * dice_loss(z, y)

    expected = diagnose(loss, logits, labels, eps_inf=0.075, eps_sup=0.925)
    chex.assert_trees_all_close(result.diagnostics, expected, atol=1e-5)
    assert set(result.masks) == {"balanced"}
    sums = [np.asarray(mask)[i][labels[i] == k].sum() for i in range(16) for k in range(3)]
    np.testing.assert_allclose(result.masks["balanced"].ravel(), sums, rtol=1e-5)
    np.testing.assert_allclose(on_devices(cost_step, **of_objective), loss(logits, labels), atol=1e-5)
