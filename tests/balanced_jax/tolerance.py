"""The one rule by which values are compared."""

import numpy as np
from numpy.typing import ArrayLike


def assert_close(actual, expected, logits: ArrayLike = 0.0, unit=1e-6):
    """Within `unit`, scaled by the largest expected value and, above 10, by the largest logit."""
    expected = np.asarray(expected, np.float64)
    bound = (
        unit * max(1, np.max(np.abs(expected))) * max(1, np.max(np.abs(np.asarray(logits, np.float64))) / 10)
    )
    actual = np.asarray(actual, np.float64)
    assert actual.shape == expected.shape
    assert np.max(np.abs(actual - expected)) <= bound


def assert_gradient_close_at_each_pixel(actual, expected, unit=1e-5):
    """Within `unit` of the largest component of each pixel, however small beside those of other pixels.

    A logit near 20 is rounded to 1e-6 in float32, and so are differences of two, hence exponentials of these,
    of which a gradient has a few as factors.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert (np.abs(actual - expected) <= unit * np.max(np.abs(expected), axis=-1, keepdims=True)).all()
