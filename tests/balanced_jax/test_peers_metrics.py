"""Defects measured in the metrics of other libraries, by their number in the survey of peers."""

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts, confusion_counts, dice, iou

# Metrics: image A shows a defect and is answered perfectly, image B is clean.
FOUND, CLEAN = np.array([[1, 1, 0, 0]]), np.array([[0, 0, 0, 0]])


def readings(predictions, labels):
    counts = confusion_counts(np.stack(predictions), np.stack(labels), 2)
    return {r: iou(counts, r)[1] for r in ("dataset", "present", "union", "all")}


def test_peers_30_a_clean_image_left_alone_counts_as_the_reading_says():
    assert readings([FOUND, CLEAN], [FOUND, CLEAN]) == {"dataset": 1, "present": 1, "union": 1, "all": 1}
    only = readings([CLEAN], [CLEAN])
    assert only["all"] == 1
    assert np.isnan([only["dataset"], only["present"], only["union"]]).all()


def test_peers_31_false_alarms_on_a_clean_image_are_forgiven_by_present_alone():
    scores = readings([FOUND, 1 - CLEAN], [FOUND, CLEAN])
    assert scores == {"dataset": pytest.approx(2 / 6), "present": 1, "union": 0.5, "all": 0.5}


def test_peers_32_leaving_out_background_keeps_the_false_alarms_on_it():
    counts = confusion_counts(np.array([[1, 1, 1, 1]]), FOUND, 3)
    assert iou(counts, "dataset")[1] == 0.5
    assert np.isnan(iou(counts, "dataset")[2])  # absent and not predicted: no number, rather than 0 or -1
    assert dice(ConfusionCounts(*(c[1:] for c in counts)), "dataset")[0] == pytest.approx(2 / 3)


def test_peers_33_a_label_that_is_no_class_is_in_no_count():
    counts = confusion_counts(np.array([[0, 1, 1, 1]]), np.array([[0, 2, 255, -1]]), 2)
    assert [c.tolist() for c in counts] == [[1, 0], [0, 0], [0, 0]]
