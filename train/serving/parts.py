"""A part of the data with the probabilities of its images, which one pass at the start has made."""

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from train.data.prepare import Part
from train.errors import UserError
from train.inference.viewers import ClassifiedImage
from train.measures.decision import decision_figures
from train.measures.records import DecisionFigures, DecisionRule
from train.serving.measured import LabeledImage, Measured

_BYTES_PER_PIXEL = 2
"""Beside the probabilities: the label and the class map of the last rule."""


@dataclass(frozen=True)
class Walks:
    """Positions of images, in the orders in which a person walks through them."""

    worst: list[int]
    """All images, the lowest mean IoU of the defect classes first; those without a defect last."""
    missed: list[int]
    """Images with a missed defect, the one that the network is most certain to be none first."""
    false_alarms: list[int]
    """Images with a false alarm, the one that the network is most certain of first."""
    passed: list[int]
    """Images that are wrongly passed, in the order of `missed`."""
    scrapped: list[int]
    """Images that are wrongly scrapped, in the order of `false_alarms`."""


@dataclass(frozen=True)
class RuleFigures:
    """What a rule makes of a part."""

    figures: DecisionFigures
    too_small: dict[str, int]
    """Missed components of each class that the minimum area hides."""
    walks: Walks


class KeptPart:
    """The labeled images of a part, in the order of the data."""

    def __init__(self, examples: Part, classified: Iterable[ClassifiedImage], defects: Sequence[str]):
        """Keep the probabilities and labels.

        Args:
            examples: of the part; their images are decoded when they are looked at.
            classified: the predictions for them, in their order.
            defects: names of the defect classes.
        """
        self.examples = examples
        self.names = examples.names()
        self.images = [LabeledImage(each.probabilities, each.label) for each in classified]
        self._defects = defects
        self._last: tuple[DecisionRule, RuleFigures] | None = None

    def measure(self, rule: DecisionRule) -> RuleFigures:
        """Return the figures of the part under a rule, and the orders of its images."""
        if self._last is None or self._last[0] != rule:
            self._last = rule, measure_all(self.images, rule, self._defects)
        return self._last[1]


def measure_all(images: Sequence[LabeledImage], rule: DecisionRule, defects: Sequence[str]) -> RuleFigures:
    """Return the figures of some images under a rule, and their orders."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        measured = list(threads.map(lambda image: image.measure(rule), images))
    figures = decision_figures([each.counts for each in measured], defects)
    too_small = {name: sum(each.too_small[k] for each in measured) for k, name in enumerate(defects)}
    return RuleFigures(figures, too_small, _walks(measured))


def parts_memory(parts: Sequence[Part], defects: int, gib: float) -> str:
    """Return how much memory the images of some parts take, in words.

    Args:
        parts: of the data.
        defects: number of the defect classes.
        gib: largest memory in GiB.

    Raises:
        UserError: they take more.
    """
    pixels = sum(math.prod(size) for part in parts for size in part.sizes)
    images = sum(len(part) for part in parts)
    needed = pixels * (4 * defects + _BYTES_PER_PIXEL) / 2**30
    text = f"{images} images with the probabilities of {defects} defect classes take {needed:.2g} GiB"
    if needed > gib:
        raise UserError(f"serve: {text}, more than --memory {gib:g}; give a larger --memory, or fewer parts")
    return text


def _walks(measured: Sequence[Measured]) -> Walks:
    ious = [_mean_iou(each) for each in measured]
    missed = {i: each.missed for i, each in enumerate(measured) if each.missed is not None}
    alarms = {i: -each.false_alarm for i, each in enumerate(measured) if each.false_alarm is not None}
    counts = [each.counts for each in measured]
    passed = [i for i, each in enumerate(counts) if each.defective and not each.scrapped]
    scrapped = [i for i, each in enumerate(counts) if each.labeled and not each.defective and each.scrapped]
    return Walks(
        worst=sorted(range(len(ious)), key=ious.__getitem__),
        missed=sorted(missed, key=missed.__getitem__),
        false_alarms=sorted(alarms, key=alarms.__getitem__),
        passed=sorted(passed, key=missed.__getitem__),
        scrapped=sorted(scrapped, key=lambda i: alarms.get(i, 0)),  # what remains may be void, and no alarm
    )


def _mean_iou(measured: Measured) -> float:
    """Return the mean IoU of the defect classes labeled or predicted; infinity without any."""
    pixels = measured.counts.pixels
    union = np.sum(pixels, 0)
    shown = union > 0
    return float(np.mean(pixels.true_positives[shown] / union[shown])) if shown.any() else math.inf
