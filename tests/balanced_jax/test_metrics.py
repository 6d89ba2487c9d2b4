"""Counts against a loop, readings against cases made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts, Reading, confusion_counts, dice, iou, precision, recall
from tests.balanced_jax.x64 import enable_x64

READINGS: tuple[Reading, ...] = ("dataset", "present", "union", "all")


def loop(predictions, labels, num_classes):
    counts = np.zeros((3, num_classes), int)
    for predicted, label in zip(predictions.ravel(), labels.ravel(), strict=True):
        if not 0 <= label < num_classes:
            continue
        if predicted == label:
            counts[0, label] += 1
        else:
            counts[2, label] += 1
            if 0 <= predicted < num_classes:
                counts[1, predicted] += 1
    return counts


@pytest.mark.parametrize("num_classes", [1, 2, 5])
def test_counts_are_those_of_a_loop(num_classes):
    rng = np.random.default_rng(0)
    predictions = rng.integers(-1, num_classes + 1, (2, 3, 7, 8))
    labels = rng.choice([*range(num_classes), -1, 255], (2, 3, 7, 8))
    expected = np.array(
        [
            [loop(p, y, num_classes) for p, y in zip(*rows, strict=True)]
            for rows in zip(predictions, labels, strict=True)
        ]
    )
    for counter in (confusion_counts, jax.jit(confusion_counts, static_argnums=2)):
        counts = counter(predictions, labels, num_classes)
        for i, count in enumerate(counts):
            assert count.dtype == jnp.int32
            np.testing.assert_array_equal(count, expected[:, :, i])


def test_other_platforms_count_as_a_cpu_does(monkeypatch):
    rng = np.random.default_rng(0)
    predictions, labels = (jnp.asarray(rng.integers(-1, 5, (2, 7, 9))) for _ in range(2))
    counts = confusion_counts(predictions, labels, 4)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *arguments, cpu, default: default(*arguments))
    with jax.disable_jit():
        for on_cpu, elsewhere in zip(counts, confusion_counts(predictions, labels, 4), strict=True):
            assert elsewhere.dtype == jnp.int32
            np.testing.assert_array_equal(on_cpu, elsewhere)


def test_bytes_are_counted_as_integers_are():
    predictions, labels = np.array([[0, 1, 255]], np.uint8), np.array([[1, -1, 0]], np.int16)
    counts = confusion_counts(predictions, labels, 300)
    assert [int(count.sum()) for count in counts] == [0, 2, 2]
    assert counts.false_positives[255] == 1


@pytest.mark.parametrize("of_predictions", ["int32", "uint32", "int16"])
@pytest.mark.parametrize("of_labels", ["int32", "uint32", "int16"])
def test_predictions_and_labels_may_differ_in_type_under_strict_promotion(of_predictions, of_labels):
    predictions, labels = np.array([[0, 1, 1, 2, -1]]), np.array([[1, 1, -1, 0, 1]])
    with jax.numpy_dtype_promotion("strict"):
        counts = confusion_counts(predictions.astype(of_predictions), labels.astype(of_labels), 3)
    np.testing.assert_array_equal(np.stack(counts), loop(predictions, labels, 3))


def test_a_label_beyond_the_bits_of_predictions_is_void():
    with enable_x64(True):
        counts = confusion_counts(jnp.array([[1]], jnp.int32), jnp.array([[2**32 + 1]]), 2)
    assert [int(count.sum()) for count in counts] == [0, 0, 0]


def test_counts_stay_int32_in_double_precision():
    with enable_x64(True):
        counts = confusion_counts(np.zeros((4, 4), int), np.zeros((4, 4), int), 2)
    assert {count.dtype for count in counts} == {np.dtype(np.int32)}


# Five images of one class: found in half, missed, a false alarm, left alone rightly, found exactly.
FIVE = ConfusionCounts(
    true_positives=np.array([[2], [0], [0], [0], [4]]),
    false_positives=np.array([[1], [0], [6], [0], [0]]),
    false_negatives=np.array([[1], [3], [0], [0], [0]]),
)


@pytest.mark.parametrize(
    ("metric", "scores"),
    [
        (iou, {"dataset": 6 / 17, "present": 1.5 / 3, "union": 1.5 / 4, "all": 2.5 / 5}),
        (
            dice,
            {
                "dataset": 12 / 23,
                "present": (2 / 3 + 1) / 3,
                "union": (2 / 3 + 1) / 4,
                "all": (2 / 3 + 2) / 5,
            },
        ),
        (
            precision,
            {"dataset": 6 / 13, "present": (2 / 3 + 1) / 3, "union": (2 / 3 + 1) / 4, "all": (2 / 3 + 2) / 5},
        ),
        (
            recall,
            {"dataset": 6 / 10, "present": (2 / 3 + 1) / 3, "union": (2 / 3 + 1) / 4, "all": (2 / 3 + 2) / 5},
        ),
    ],
)
def test_each_reading_is_that_of_its_definition(metric, scores):
    for reading, score in scores.items():
        np.testing.assert_allclose(metric(FIVE, reading), [score], rtol=1e-15)
        assert metric(FIVE, reading).dtype == np.float64


METRICS = [iou, dice, precision, recall]


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_that_is_nowhere_is_nan_save_under_all(metric):
    nowhere = ConfusionCounts(*np.zeros((3, 2, 1), int))
    for reading in ("dataset", "present", "union"):
        assert np.isnan(metric(nowhere, reading)).all()
    assert metric(nowhere, "all") == [1]


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_that_is_only_predicted_or_only_labeled_scores_0(metric):
    zero, some = np.array([[0]]), np.array([[5]])
    missed, invented = ConfusionCounts(zero, zero, some), ConfusionCounts(zero, some, zero)
    for reading in READINGS:
        assert metric(missed, reading) == [0]
        if reading == "present":
            assert np.isnan(metric(invented, reading))
        else:
            assert metric(invented, reading) == [0]


def test_one_image_and_many_leading_axes_are_read_alike():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (3, 2, 4, 3))
    for reading in READINGS:
        np.testing.assert_array_equal(
            iou(ConfusionCounts(*counts), reading), iou(ConfusionCounts(*counts.reshape(3, 8, 3)), reading)
        )
    single = ConfusionCounts(*jnp.asarray(counts[:, 0, 0]))
    np.testing.assert_array_equal(iou(single, "dataset"), iou(single, "union"))


def test_no_image_at_all_is_nan():
    for reading in READINGS:
        assert np.isnan(iou(ConfusionCounts(*np.zeros((3, 0, 2), np.int32)), reading)).all()


def test_sums_over_a_large_data_set_do_not_overflow():
    full = np.full((8192, 2), 512 * 512, np.int32)
    counts = ConfusionCounts(full, full, full)
    assert full.sum(axis=0, dtype=np.int32)[0] <= 0  # what int32 would make of them
    np.testing.assert_allclose(iou(counts, "dataset"), 1 / 3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("part", ConfusionCounts._fields)
def test_counts_whose_sum_overflowed_are_refused(metric, part):
    batch = ConfusionCounts(*(jnp.array([[2**30, 10]]) for _ in range(3)))
    total = batch._replace(**{part: getattr(batch, part) + getattr(batch, part)})
    for reading in READINGS:
        with pytest.raises(ValueError, match=f"{part} must be at least 0, got -2147483648: "):
            metric(total, reading)


def test_counts_added_in_int64_serve_the_reading_of_the_set_alone():
    added = ConfusionCounts(*(count.sum(axis=0, dtype=np.int64) for count in FIVE))
    np.testing.assert_array_equal(iou(added, "dataset"), iou(FIVE, "dataset"))
    assert iou(added, "union") == iou(added, "dataset") != iou(FIVE, "union")
