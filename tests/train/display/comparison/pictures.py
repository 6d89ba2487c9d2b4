"""Pictures for comparisons."""

import math

import numpy as np

from tests.train.display.report.pictures import picture
from train.display.comparison.page import ComparedPicture


def compared_picture(name: str, size: tuple[int, int] = (48, 64)) -> ComparedPicture:
    """A picture under two objectives; the first finds nothing in it."""
    _, image, label, prediction, _ = picture(name, size=size)
    predictions = {"cross-entropy": np.zeros_like(label), "paper": prediction}
    return ComparedPicture(name, image, label, predictions, {"cross-entropy": math.nan, "paper": 0.73})
