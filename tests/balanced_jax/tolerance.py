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
