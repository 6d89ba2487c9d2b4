"""PyTorch's answers: those checked in, and, where it is installed (`-m torch`), its own."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import dice_loss, masked_mean, softmax_cross_entropy
from balanced_jax.masks import valid_mask
from tests.balanced_jax.tolerance import assert_close
from tests.references.make_references import references


def checked_in():
    return dict(np.load(Path(__file__).parents[1] / "references" / "losses.npz"))


def of_classes(arrays, num_classes):
    """The arrays of one case, by their names in it."""
    prefix = f"{num_classes}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


@pytest.mark.parametrize("source", [checked_in, pytest.param(references, marks=pytest.mark.torch)])
@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_cross_entropy_and_its_gradient_are_those_of_pytorch(source, num_classes):
    case = of_classes(source(), num_classes)
    logits = jnp.asarray(case["logits"])

    @jax.jit
    def both(z):
        value, back = jax.vjp(lambda z: softmax_cross_entropy(z, case["labels"], weights=case["weights"]), z)
        return value, back(jnp.asarray(case["cotangent"]))[0]

    value, gradient = both(logits)
    assert_close(value, case["cross_entropy"], logits)
    assert_close(gradient, case["cross_entropy_gradient"], logits)


@pytest.mark.parametrize("source", [checked_in, pytest.param(references, marks=pytest.mark.torch)])
@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_dice_and_its_gradient_are_those_of_pytorch(source, num_classes):
    case = of_classes(source(), num_classes)

    def loss(z):
        cost = dice_loss(z, case["labels"], weights=case["weights"])
        return masked_mean(cost, valid_mask(case["labels"], num_classes))

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(case["logits"]))
    assert_close(value, case["dice"], case["logits"])
    assert_close(gradient, case["dice_gradient"], case["logits"])


@pytest.mark.torch
def test_what_is_checked_in_is_what_pytorch_says():
    now = references()
    assert set(checked_in()) == set(now)
    for name, array in checked_in().items():
        np.testing.assert_allclose(array, now[name], rtol=1e-12, atol=1e-15)
