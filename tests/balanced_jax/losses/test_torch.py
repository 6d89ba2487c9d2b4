"""PyTorch's answers: those checked in, and, where it is installed (`-m torch`), its own."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import losses
from balanced_jax.losses import masked_mean
from balanced_jax.masks import valid_mask
from tests.balanced_jax.tolerance import assert_close
from tests.references.make_references import references


def checked_in():
    return dict(np.load(Path(__file__).parents[2] / "references" / "losses.npz"))


def of_classes(arrays, num_classes):
    """The arrays of one case, by their names in it."""
    prefix = f"{num_classes}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


sources = pytest.mark.parametrize("source", [checked_in, pytest.param(references, marks=pytest.mark.torch)])
class_numbers = pytest.mark.parametrize("num_classes", [2, 3, 5])

# By the name of the reference: the loss of this library, and whether its labels are one flag per class.
MAPS = {
    "cross_entropy": (losses.softmax_cross_entropy, False),
    "binary": (functools.partial(losses.sigmoid_truncated_cross_entropy, eps_inf=0, eps_sup=1), True),
    "binary_focal": (functools.partial(losses.sigmoid_focal_loss, alpha=0.25), True),
}
REGIONS = {
    "dice": losses.dice_loss,
    "iou": losses.iou_loss,
    "tversky": functools.partial(losses.tversky_loss, alpha=0.3, beta=0.7),
    "focal_tversky": functools.partial(losses.focal_tversky_loss, alpha=0.3, beta=0.7),
    "lovasz": losses.lovasz_softmax_loss,
}


@sources
@class_numbers
@pytest.mark.parametrize("name", MAPS)
def test_maps_and_their_gradients_are_those_of_pytorch(source, num_classes, name):
    case, (loss, flags) = of_classes(source(), num_classes), MAPS[name]
    labels = case["labels"]
    if flags:
        void = labels[..., None] == 255
        labels = np.where(void, 255, labels[..., None] == np.arange(num_classes))

    @jax.jit
    def both(z):
        value, back = jax.vjp(lambda z: loss(z, labels, weights=case["weights"]), z)
        return value, back(jnp.asarray(case["cotangent"]))[0]

    value, gradient = both(case["logits"])
    assert_close(value, case[name], case["logits"])
    assert_close(gradient, case[f"{name}_gradient"], case["logits"])


@sources
@class_numbers
@pytest.mark.parametrize("name", REGIONS)
def test_region_losses_and_their_gradients_are_those_of_pytorch(source, num_classes, name):
    case = of_classes(source(), num_classes)

    def mean(z):
        cost = REGIONS[name](z, case["labels"], weights=case["weights"])
        return masked_mean(cost, valid_mask(case["labels"], num_classes))

    value, gradient = jax.jit(jax.value_and_grad(mean))(case["logits"])
    assert_close(value, case[name], case["logits"])
    assert_close(gradient, case[f"{name}_gradient"], case["logits"])


@pytest.mark.torch
def test_what_is_checked_in_is_what_pytorch_says():
    now = references()
    assert set(checked_in()) == set(now)
    for name, array in checked_in().items():
        np.testing.assert_allclose(array, now[name], rtol=1e-12, atol=1e-15)
