"""Precomputed masks: made once, cut and padded with their images, equal to the masks that steps make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import masks as library
from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.masks import inverse_weight_mask, skeleton_mask
from train.config import Term
from train.data.cache import ExampleCache
from train.data.example import VOID
from train.data.pipeline import training_batches
from train.errors import UserError
from train.measures.loss_shares import loss_share_sums
from train.training.objective import check_objective, total_cost
from train.training.precomputed_masks import precomputed_masks

OPTIONS = {"fixed_class_weights": {"values": (1.0, 2.0, 0.5)}, "confusion_mask": {"window": 3}}
every_mask = pytest.mark.parametrize("name", library.__all__)


def labels(*sizes):
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 3, size, np.uint8) for size in sizes]
    made[0][2:5, 1:4] = VOID
    return made


def examples(*sizes):
    return [{"image": label[..., None], "label": label} for label in labels(*sizes)]


def library_mask(name, label):
    """The mask of the library, as weights."""
    return np.asarray(getattr(library, name)(label, 3, **OPTIONS.get(name, {})), np.float32)


def sums_of(objective, logits, labels, masks):
    """Costs and loss shares, compiled as validation compiles them."""
    arguments = (logits, labels, 0.5, masks)
    return jax.jit(lambda *x: (total_cost(objective, *x), loss_share_sums(objective, *x)))(*arguments)


@every_mask
def test_every_mask_is_the_same_in_the_step_and_precomputed_or_is_refused(name):
    mask, options = getattr(library, name), OPTIONS.get(name, {})
    label = np.stack(labels((11, 8), (11, 8))).astype(np.int32)
    logits = np.random.default_rng(1).normal(size=(*label.shape, 3)).astype(np.float32)
    expected = softmax_cross_entropy(logits, label, weights=library_mask(name, label))

    precomputed = {"x": Term(softmax_cross_entropy, precomputed=mask, precomputed_options=options)}
    check_objective(precomputed, 3)
    make = precomputed_masks(precomputed, 3, canvas=(12, 12))["x"]
    made = {"x": np.stack([make(image.astype(np.uint8)) for image in label])}
    costs, shares = sums_of(precomputed, logits, label, made)
    np.testing.assert_allclose(costs, expected, rtol=1e-6)
    by_class = [[library_mask(name, label)[i][label[i] == k].sum() for k in range(3)] for i in range(2)]
    np.testing.assert_allclose(shares.masks["x"], by_class, rtol=1e-5)

    in_step = {"x": Term(softmax_cross_entropy, weights=mask, weights_options=options)}
    if mask in (inverse_weight_mask, skeleton_mask):
        with pytest.raises(UserError, match=rf"^objective\.x\.weights: {name} .* precomputed"):
            check_objective(in_step, 3)
        return
    check_objective(in_step, 3)
    costs_in_step, shares_in_step = sums_of(in_step, logits, label, {})
    np.testing.assert_allclose(costs_in_step, expected, rtol=1e-6)
    np.testing.assert_allclose(shares_in_step.masks["x"], by_class, rtol=1e-5)


@every_mask
def test_a_precomputed_mask_is_the_mask_of_the_label(name):
    term = Term(
        softmax_cross_entropy, precomputed=getattr(library, name), precomputed_options=OPTIONS.get(name, {})
    )
    masks = precomputed_masks({"plain": Term(softmax_cross_entropy), "x": term}, 3, canvas=(11, 10))
    assert list(masks) == ["x"]
    for label in labels((11, 8), (7, 10), (11, 10)):
        mask = masks["x"](label)
        assert mask.dtype == np.float32
        assert mask.shape == label.shape
        assert mask.base is None  # or the canvas would stay in memory with it
        np.testing.assert_allclose(mask, library_mask(name, label), rtol=1e-6)


def test_large_weights_are_stored_as_they_are():
    label = np.zeros((512, 512), np.uint8)
    label[5, 5] = 1
    term = Term(softmax_cross_entropy, precomputed=inverse_weight_mask)
    mask = precomputed_masks({"x": term}, 2, canvas=(512, 512))["x"](label)
    assert mask[5, 5] == 512 * 512 / 2  # twice the largest float16


def test_the_masks_of_labels_of_all_sizes_are_compiled_once():
    traced = []

    def counting(labels, num_classes):
        traced.append(labels.shape)
        return labels * 1.0

    masks = precomputed_masks({"x": Term(softmax_cross_entropy, precomputed=counting)}, 3, canvas=(11, 10))
    traced.clear()  # of the question whether it can be traced
    for label in labels((11, 8), (7, 10), (5, 5)):
        masks["x"](label)
    assert traced == [(11, 10)]


def test_a_mask_that_cannot_be_traced_is_made_of_the_label_itself():
    taken = []

    def host(labels, num_classes):
        taken.append(labels)
        return np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + jnp.ones(labels.shape)

    masks = precomputed_masks({"x": Term(softmax_cross_entropy, precomputed=host)}, 3, canvas=(11, 10))
    for label in labels((11, 8), (5, 5)):
        mask = masks["x"](label)
        assert taken[-1] is label
        assert isinstance(mask, np.ndarray)
        assert mask.shape == label.shape


def test_masks_are_cut_as_their_labels_are():
    masks = {"x": lambda label: (label / 4).astype(np.float32)}
    source = examples((11, 8), (7, 10), (12, 12), (9, 9))
    batches = list(
        training_batches(source, size=None, crop=(9, 9), batch_size=2, passes=5, seed=0, masks=masks)
    )
    assert len(batches) == 10
    for batch in batches:
        label, mask = batch["label"], batch["masks"]["x"]
        assert mask.shape == label.shape
        # What fills an image up is void and counts nothing.
        outside = (label == VOID) & (mask == 0)
        assert (outside | (mask == (label / 4).astype(np.float32))).all()


def test_masks_are_made_at_the_size_of_the_network_and_kept():
    made = []

    def mask(label):
        made.append(label.shape)
        return np.zeros(label.shape, np.float32)

    cache = ExampleCache(examples((12, 12), (8, 8)), (6, 5), {"x": mask}, memory=10**4)
    for _ in range(3):
        assert [cache[i]["masks"]["x"].shape for i in range(2)] == [(6, 5)] * 2
    assert made == [(6, 5)] * 2
