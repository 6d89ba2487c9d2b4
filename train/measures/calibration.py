"""Calibration: the probability of a class against the fraction of pixels that are labeled so.

Decision thresholds are probabilities: where a network is calibrated, at least three in ten of the pixels that
exceed a threshold of .3 are labeled as the class.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from train.measures.figures import or_none, stack
from train.measures.records import Calibration

BINS = 20
"""Bins of the probability, equally wide."""
FEWEST_PIXELS = 100
"""Pixels below which a bin enters neither the average error nor the diagram: its fraction is chance."""
_BLOCK = 2**20
"""Pixels that are binned at a time, because they take 64 bits each."""


class CalibrationSums(NamedTuple):
    """Sums of one image by defect class and bin of the probability, [defects, bins]."""

    pixels: np.ndarray
    """Pixels in the bin, int64."""
    labeled: np.ndarray
    """Those labeled as the class, int64."""
    probability: np.ndarray
    """Sum of their probabilities, float64."""


def calibration_sums(probabilities: np.ndarray, label: np.ndarray) -> CalibrationSums:
    """Return the sums of one image; void pixels and those whose probability is NaN are left out.

    Args:
        probabilities: of each defect class, float32 [h, w, defects].
        label: class ids, the background 0, [h, w]; those above the defect classes are void.
    """
    defects = probabilities.shape[-1]
    sums = CalibrationSums(
        np.zeros((defects, BINS), np.int64), np.zeros((defects, BINS), np.int64), np.zeros((defects, BINS))
    )
    labels = label.ravel()
    for k, of_class in enumerate(np.moveaxis(probabilities.reshape(-1, defects), -1, 0)):
        for start in range(0, len(labels), _BLOCK):
            values, ids = (x[start : start + _BLOCK] for x in (of_class.astype(np.float64), labels))
            counted = (ids <= defects) & ~np.isnan(values)
            values, ids = values[counted], ids[counted]
            bins = np.minimum((BINS * values).astype(int), BINS - 1)
            sums.pixels[k] += np.bincount(bins, minlength=BINS)
            sums.labeled[k] += np.bincount(bins[ids == k + 1], minlength=BINS)
            sums.probability[k] += np.bincount(bins, values, BINS)
    return sums


def calibration(images: Iterable[CalibrationSums], defects: Sequence[str]) -> dict[str, Calibration]:
    """Return the calibration of each defect class.

    Args:
        images: sums of each image.
        defects: names of the defect classes.
    """
    sums = (each.sum(0) for each in stack(list(images)))
    return {name: _of_class(*rows) for name, *rows in zip(defects, *sums, strict=True)}


def _of_class(pixels: np.ndarray, labeled: np.ndarray, probability: np.ndarray) -> Calibration:
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: an empty bin
        means, fractions = probability / pixels, labeled / pixels
    errors = np.abs(means - fractions)
    some, enough = pixels > 0, pixels >= FEWEST_PIXELS
    return Calibration(
        pixels=pixels.tolist(),
        probability=list(map(or_none, means)),
        fraction=list(map(or_none, fractions)),
        expected_error=float(np.average(errors[some], weights=pixels[some])) if some.any() else None,
        average_error=float(errors[enough].mean()) if enough.any() else None,
    )
