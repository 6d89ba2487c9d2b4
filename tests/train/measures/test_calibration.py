"""Calibration against a loop over single pixels, and against networks whose calibration is known."""

from fractions import Fraction

import numpy as np
import pytest

from train.measures import calibration as module
from train.measures.calibration import BINS, FEWEST_PIXELS, calibration, calibration_sums
from train.measures.records import Calibration


def noise(seed: int, size=(20, 70), defects=3) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, many of them at the ends, and a label with void pixels."""
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.3, 0.6, (*size, defects)).astype(np.float32)
    probabilities[0, :5], probabilities[0, 5:10], probabilities[1, :9] = 0, 1, np.nan
    label = rng.integers(0, defects + 1, size).astype(np.uint8)
    label[2, :30] = 255
    label[3, :3] = defects + 1
    return probabilities, label


def measured(*images: tuple[np.ndarray, np.ndarray]) -> Calibration:
    """The calibration of the first defect class of some images."""
    names = "abc"[: images[0][0].shape[-1]]
    return calibration([calibration_sums(*image) for image in images], names)["a"]


def test_the_figures_are_those_of_a_loop_over_pixels():
    images = [noise(0), noise(1)]
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probabilities, label in images:
        for p, k in zip(probabilities[..., 0].ravel().tolist(), label.ravel().tolist(), strict=True):
            if k <= 3 and p == p:
                bins[min(int(Fraction(p) * BINS), BINS - 1)].append((p, k == 1))
    result = measured(*images)
    assert result.pixels == [len(pixels) for pixels in bins]
    means = [np.mean([p for p, _ in pixels]) for pixels in bins]
    fractions = [np.mean([y for _, y in pixels]) for pixels in bins]
    np.testing.assert_allclose(np.array(result.probability, float), means, rtol=1e-12)
    np.testing.assert_allclose(np.array(result.fraction, float), fractions, rtol=1e-12)
    distances = np.abs(np.subtract(means, fractions))
    total = sum(map(len, bins))
    expected = sum(len(pixels) / total * d for pixels, d in zip(bins, distances, strict=True))
    assert result.expected_error == pytest.approx(expected, rel=1e-12)
    many = [d for pixels, d in zip(bins, distances, strict=True) if len(pixels) >= FEWEST_PIXELS]
    assert 1 < len(many) < BINS
    assert result.average_error == pytest.approx(np.mean(many), rel=1e-12)


def test_images_are_binned_block_by_block(monkeypatch):
    whole = calibration_sums(*noise(2))
    monkeypatch.setattr(module, "_BLOCK", 999)
    for first, second in zip(whole, calibration_sums(*noise(2)), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12)


def test_labels_drawn_with_the_predicted_probability_are_calibrated():
    rng = np.random.default_rng(3)
    probabilities = rng.uniform(size=(500, 500, 1)).astype(np.float32)
    label = (rng.uniform(size=(500, 500)) < probabilities[..., 0]).astype(np.uint8)
    result = measured((probabilities, label))
    # 12,500 pixels a bin: a standard deviation of at most .0045.
    assert result.expected_error is not None
    assert result.average_error is not None
    assert max(result.expected_error, result.average_error) < 0.01
    squared = measured((np.sqrt(probabilities), label))
    # The integral of sqrt(p) - p over the squares of the bins: 2/3 - 1/2.
    assert squared.expected_error == pytest.approx(1 / 6, abs=0.005)


def test_a_rare_class_that_is_never_labeled_weighs_in_the_average_alone():
    probabilities = np.full((100, 101, 1), 0.001, np.float32)
    probabilities[:, -1] = 0.6
    result = measured((probabilities, np.zeros((100, 101), np.uint8)))
    assert result.expected_error == pytest.approx((0.1 + 0.6) / 101, abs=1e-6)
    assert result.average_error == pytest.approx((0.001 + 0.6) / 2, abs=1e-6)


def test_bins_of_few_pixels_enter_the_expected_error_alone():
    probabilities = np.full((1, FEWEST_PIXELS - 1, 1), 0.5, np.float32)
    result = measured((probabilities, np.ones(probabilities.shape[:2], int)))
    assert (result.expected_error, result.average_error) == (0.5, None)
    assert result.probability.count(None) == BINS - 1


@pytest.mark.parametrize("image", [(np.nan, 1), (0.5, 255)], ids=["NaN", "void"])
def test_without_a_pixel_that_counts_there_is_no_figure(image):
    value, label = image
    probabilities = np.full((20, 20, 1), value, np.float32)
    result = measured((probabilities, np.full((20, 20), label, np.uint8)))
    assert result == Calibration([0] * BINS, [None] * BINS, [None] * BINS, None, None)
