"""Losses that are one another at some value of their numbers."""

import functools

import jax
import numpy as np
import pytest

from balanced_jax import losses
from balanced_jax.masks import balance_mask, confusion_mask
from tests.balanced_jax.losses.examples import example
from tests.balanced_jax.losses.table import ROWS
from tests.balanced_jax.tolerance import assert_close

ROW = {row.name: row for row in ROWS}


def binary_cross_entropy(logits, labels, *, weights):
    return losses.sigmoid_truncated_cross_entropy(logits, labels, weights=weights, eps_inf=0, eps_sup=1)


def truncated_under_confusion(logits, labels, *, weights):
    return losses.softmax_truncated_cross_entropy(
        logits, labels, weights=weights * confusion_mask(labels, logits.shape[-1])
    )


def truncated_under_balance(logits, labels, *, weights):
    return losses.softmax_truncated_cross_entropy(
        logits, labels, weights=weights * balance_mask(labels, logits.shape[-1])
    )


def twice_truncated(logits, labels, *, weights):
    return 2 * losses.softmax_truncated_cross_entropy(logits, labels, weights=weights)


IDENTITIES = {
    "delta eps of .5 is cross entropy": (
        "softmax_truncated_cross_entropy",
        {"eps_inf": 0.5 - 0.5, "eps_sup": 0.5 + 0.5},
        losses.softmax_cross_entropy,
    ),
    "gamma 0 is cross entropy": ("softmax_focal_loss", {"gamma": 0}, losses.softmax_cross_entropy),
    "gamma 0 is binary cross entropy": ("sigmoid_focal_loss", {"gamma": 0}, binary_cross_entropy),
    "alpha of 1 for all is none": ("softmax_focal_loss", {"alpha": (1, 1)}, losses.softmax_focal_loss),
    "Tversky of halves is Dice": ("tversky_loss", {"alpha": 0.5, "beta": 0.5}, losses.dice_loss),
    "Tversky of ones is IoU": ("tversky_loss", {"alpha": 1, "beta": 1}, losses.iou_loss),
    "gamma 1 is Tversky": ("focal_tversky_loss", {"gamma": 1}, losses.tversky_loss),
    "beta 0 leaves the confusion mask": ("balanced_loss", {"beta": 0}, truncated_under_confusion),
    "balanced is truncated under the balance mask": ("balanced_loss", {}, truncated_under_balance),
    "all entries of two classes are one twice": (
        "all_entries_truncated_cross_entropy",
        {},
        twice_truncated,
    ),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity(name):
    loss, options, other = IDENTITIES[name]
    logits, labels, weights, cotangent = example(ROW[loss], 2)
    if loss == "balanced_loss" or other in (truncated_under_balance, truncated_under_confusion):
        weights = np.nan_to_num(weights)  # masks are multiplied by them

    @jax.jit
    def both(z):
        results = []
        for function in (functools.partial(ROW[loss].loss, **options), other):
            value, back = jax.vjp(lambda z, f=function: f(z, labels, weights=weights), z)
            results.append((value, back(cotangent)[0]))
        return results

    (value, gradient), (expected, expected_gradient) = both(logits)
    assert_close(value, expected, logits)
    assert_close(gradient, expected_gradient, logits)
