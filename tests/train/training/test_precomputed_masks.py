"""Precomputed masks: made once, rounded to float16, cut and filled up with their images."""

import numpy as np

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.masks import confusion_mask
from train.config import Term
from train.data.cache import ExampleCache
from train.data.example import VOID
from train.data.pipeline import training_batches
from train.training.precomputed_masks import precomputed_masks

OBJECTIVE = {
    "plain": Term(softmax_cross_entropy),
    "confused": Term(softmax_cross_entropy, precomputed=confusion_mask, precomputed_options={"window": 3}),
}


def labels(*sizes):
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 3, size, np.uint8) for size in sizes]
    made[0][2:5, 1:4] = VOID
    return made


def examples(*sizes):
    return [{"image": label[..., None], "label": label} for label in labels(*sizes)]


def test_a_precomputed_mask_is_the_mask_of_the_label_rounded_to_float16():
    masks = precomputed_masks(OBJECTIVE, 3, canvas=(11, 10))
    assert list(masks) == ["confused"]
    for label in labels((11, 8), (7, 10), (11, 10)):
        stored = masks["confused"](label)
        assert stored.dtype == np.float16
        assert stored.shape == label.shape
        assert stored.base is None  # or the canvas would stay in memory with it
        expected = np.asarray(confusion_mask(label, 3, window=3))
        np.testing.assert_allclose(stored, expected, rtol=2**-11, atol=2**-25)  # float16's rounding


def test_the_masks_of_labels_of_all_sizes_are_compiled_once():
    traced = []

    def counting(labels, num_classes):
        traced.append(labels.shape)
        return labels * 1.0

    masks = precomputed_masks({"x": Term(softmax_cross_entropy, precomputed=counting)}, 3, canvas=(11, 10))
    for label in labels((11, 8), (7, 10), (5, 5)):
        masks["x"](label)
    assert traced == [(11, 10)]


def test_masks_are_cut_as_their_labels_are():
    masks = {"x": lambda label: (label / 4).astype(np.float16)}
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
        assert (outside | (mask == (label / 4).astype(np.float16))).all()


def test_masks_are_made_at_the_size_of_the_network_and_kept():
    made = []

    def mask(label):
        made.append(label.shape)
        return np.zeros(label.shape, np.float16)

    cache = ExampleCache(examples((12, 12), (8, 8)), (6, 5), {"x": mask}, memory=10**4)
    for _ in range(3):
        assert [cache[i]["masks"]["x"].shape for i in range(2)] == [(6, 5)] * 2
    assert made == [(6, 5)] * 2
