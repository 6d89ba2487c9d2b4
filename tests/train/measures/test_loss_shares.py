"""Findings: a line that says who holds the objective, and nothing where there is nothing."""

import json

import jax
import numpy as np
import pytest

from balanced_jax.losses import softmax_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks import class_weight_mask
from train.config import Ramp, Term
from train.measures.loss_shares import findings, summary

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


def on_host(objective, logits, labels, progress):
    found = jax.device_get(findings(objective, logits, labels, progress))
    return summary(found, CLASSES, objective, progress)


def test_a_missed_crack_holds_most_of_the_loss():
    found = on_host(RAREST_FIRST, *one_crack(), 1.0)
    assert found["thresholds"] == {"term": "balanced", "eps_inf": 0.3, "eps_sup": 0.7}
    histogram = found["histogram"]
    assert [len(values) for values in histogram.values()] == [20, 20, 20]
    assert histogram["pixels"][4] == pytest.approx(0.95)  # an error of .2, just below or above the edge
    assert histogram["loss"][18] == 1  # one of .9
    assert found["error"] == {
        "easy": {"pixels": pytest.approx(0.95), "loss": 0, "gradient": 0},
        "critical": {"pixels": 0, "loss": 0, "gradient": 0},
        "hard": {"pixels": pytest.approx(0.05), "loss": 1, "gradient": 1},
    }
    assert found["classes"]["crack"] == {"pixels": pytest.approx(0.05), "loss": 1, "gradient": 1}
    assert found["classes"]["pit"] == {"pixels": 0, "loss": 0, "gradient": 0}
    assert found["boundary"]["boundary"] == {"pixels": pytest.approx(0.15), "loss": 1, "gradient": 1}
    assert found["boundary_to_inside"] == {"loss": None, "gradient": None}  # inside, nothing is held
    weight = (1 - 0.9**100) / (1 - 0.9**5)
    assert found["mask"]["balanced"]["crack"] == pytest.approx(weight, rel=1e-5)
    assert found["mask"]["balanced"]["pit"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_thresholds_are_those_of_the_moment():
    found = on_host(RAREST_FIRST, *one_crack(), 0.0)  # cross entropy, as yet
    assert found["thresholds"] == {"term": "balanced", "eps_inf": 0.0, "eps_sup": 1.0}
    assert [group["pixels"] for group in found["error"].values()] == [0, 1, 0]
    weight = (1 - 0.9**100) / (1 - 0.9**5)
    w0 = (1 - 0.9**100) / (1 - 0.9**95)
    crack, rest = 5 * weight * np.log(10), 95 * w0 * np.log(10 / 8)
    boundary, inside = (crack + rest * 10 / 95) / 15, rest / 95  # a column on either side of the crack
    assert found["boundary_to_inside"]["loss"] == pytest.approx(boundary / inside, rel=1e-5)
    assert found["classes"]["crack"]["loss"] == pytest.approx(crack / (crack + rest), rel=1e-5)


def test_where_no_term_has_thresholds_the_papers_are_taken_and_called_nobodys():
    found = on_host({"ce": Term(softmax_cross_entropy)}, *one_crack(), 0.5)
    assert found["thresholds"] == {"term": None, "eps_inf": 0.3, "eps_sup": 0.7}
    assert found["error"]["hard"]["pixels"] == pytest.approx(0.05)
    assert found["mask"] == {}


def test_where_nothing_is_labelled_there_is_nothing_to_share():
    logits, labels = one_crack()
    found = on_host(RAREST_FIRST, logits, np.full_like(labels, 255), 1.0)
    assert found["classes"]["crack"] == {"pixels": None, "loss": None, "gradient": None}
    assert found["mask"]["balanced"] == dict.fromkeys(CLASSES)
    json.dumps(found, allow_nan=False)


def test_where_nothing_costs_anything_pixels_are_shared_and_the_loss_is_not():
    logits, labels = one_crack()
    found = on_host(RAREST_FIRST, 10 * logits, 0 * labels, 1.0)
    assert found["error"]["easy"] == {"pixels": 1, "loss": None, "gradient": None}
