"""Shares of the objective by error, class and boundary, against a crack worked out by hand."""

import json
from typing import Any

import jax
import numpy as np
import pytest

from balanced_jax.losses import softmax_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks import class_weight_mask
from train.config import Ramp, Term
from train.measures.loss_share_records import DensityRatio, GroupShares, LossShares, LossThresholds
from train.measures.loss_shares import loss_share_sums, loss_shares
from train.records import to_json

approx: Any = pytest.approx  # accepted where a record holds a number
CLASSES = ("background", "crack", "pit")
RAREST_FIRST = {
    "balanced": Term(
        softmax_truncated_cross_entropy,
        scale=2.0,
        options={"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)},
        weights=class_weight_mask,
        weights_options={"beta": 0.9},
    )
}


def one_crack() -> tuple[np.ndarray, np.ndarray]:
    """An image of 5 x 20 with a crack of five pixels that the network misses."""
    labels = np.zeros((1, 5, 20), np.int32)
    labels[0, :, 3] = 1
    logits = np.zeros((1, 5, 20, 3), np.float32)
    logits[..., 0] = np.log(8)  # probabilities .8, .1, .1
    return logits, labels


def measured(objective, logits, labels, progress) -> LossShares:
    sums = jax.device_get(loss_share_sums(objective, logits, labels, progress))
    return loss_shares(sums, CLASSES, objective, progress)


@pytest.mark.slow
def test_a_missed_crack_has_most_of_the_loss():
    result = measured(RAREST_FIRST, *one_crack(), 1.0)
    assert result.thresholds == LossThresholds("balanced", 0.3, 0.7)
    histogram = result.histogram
    assert [len(values) for values in vars(histogram).values()] == [20, 20, 20]
    assert histogram.pixels[4] == pytest.approx(0.95)  # an error of .2, just below or above the edge
    assert histogram.loss[18] == 1  # one of .9
    assert result.error == {
        "easy": GroupShares(approx(0.95), 0, 0),
        "critical": GroupShares(0, 0, 0),
        "hard": GroupShares(approx(0.05), 1, 1),
    }
    assert result.classes["crack"] == GroupShares(approx(0.05), 1, 1)
    assert result.classes["pit"] == GroupShares(0, 0, 0)
    assert result.boundary["boundary"] == GroupShares(approx(0.15), 1, 1)
    assert result.boundary_to_inside == DensityRatio(None, None)  # pixels inside have no loss
    weight = (1 - 0.9**100) / (1 - 0.9**5)
    assert result.mask["balanced"]["crack"] == pytest.approx(weight, rel=1e-5)
    assert result.mask["balanced"]["pit"] is None
    json.dumps(to_json(result), allow_nan=False)


def test_thresholds_are_those_of_the_moment():
    result = measured(RAREST_FIRST, *one_crack(), 0.0)  # cross entropy, as yet
    assert result.thresholds == LossThresholds("balanced", 0.0, 1.0)
    assert [group.pixels for group in result.error.values()] == [0, 1, 0]
    weight = (1 - 0.9**100) / (1 - 0.9**5)
    w0 = (1 - 0.9**100) / (1 - 0.9**95)
    crack, rest = 5 * weight * np.log(10), 95 * w0 * np.log(10 / 8)
    boundary, inside = (crack + rest * 10 / 95) / 15, rest / 95  # a column on either side of the crack
    assert result.boundary_to_inside.loss == pytest.approx(boundary / inside, rel=1e-5)
    assert result.classes["crack"].loss == pytest.approx(crack / (crack + rest), rel=1e-5)


def test_where_no_term_has_thresholds_the_papers_are_used():
    result = measured({"ce": Term(softmax_cross_entropy)}, *one_crack(), 0.5)
    assert result.thresholds == LossThresholds(None, 0.3, 0.7)
    assert result.error["hard"].pixels == pytest.approx(0.05)
    assert result.mask == {}


def test_without_a_labeled_pixel_there_are_no_shares():
    logits, labels = one_crack()
    result = measured(RAREST_FIRST, logits, np.full_like(labels, 255), 1.0)
    assert result.classes["crack"] == GroupShares(None, None, None)
    assert result.mask["balanced"] == dict.fromkeys(CLASSES)
    json.dumps(to_json(result), allow_nan=False)


def test_where_nothing_costs_anything_pixels_are_shared_and_the_loss_is_not():
    logits, labels = one_crack()
    result = measured(RAREST_FIRST, 10 * logits, 0 * labels, 1.0)
    assert result.error["easy"] == GroupShares(1, None, None)
