"""From probabilities to classes by thresholds and minimum areas, in place of the most probable class.

A loss that weights defects more raises their probabilities. Networks trained with different losses compare
fairly only when the thresholds and minimum areas of each are chosen, on the validation part. All of this is
NumPy on the host, from the probabilities of the defect classes, float32 [h, w, defects].
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from balanced_jax.metrics import ConfusionCounts, iou, precision, recall
from train.measures.components import find_components, match_components, nonzero_box, without_small
from train.measures.figures import mean_of_known, or_none, stack
from train.measures.records import LARGEST_MINIMUM_AREA, DecisionFigures, DecisionRule, DefectFigures

CANDIDATES = 1 / (1 + np.exp(-np.linspace(-5, 5, 41)))
"""Candidate thresholds: .0067 to .9933, evenly spaced in log odds."""
AREAS = 2 ** np.arange(LARGEST_MINIMUM_AREA.bit_length())
"""Candidate minimum areas in pixels: 1, which keeps all components, to 4096."""
_SMALLEST = np.finfo(np.float32).tiny
"""Smallest threshold that float32 divides by without overflow."""


def decide(
    probabilities: Float32[np.ndarray, "*shape defects"], thresholds: Float[np.ndarray, " defects"]
) -> UInt8[np.ndarray, "*shape"]:
    """Return the defect class with the largest ratio of probability to threshold, if above 1; else 0.

    Args:
        probabilities: of each defect class; a pixel of NaN is background.
        thresholds: of each defect class, in (0, 1).
    """
    classes = np.zeros(probabilities.shape[:-1], np.uint8)
    largest = np.ones(classes.shape, np.float32)
    for k, threshold in enumerate(np.maximum(np.float32(thresholds), _SMALLEST)):
        ratio = probabilities[..., k] / threshold
        larger = ratio > largest
        classes[larger] = k + 1
        largest[larger] = ratio[larger]
    return classes


def class_map(
    probabilities: Float32[np.ndarray, "h w defects"], rule: DecisionRule
) -> UInt8[np.ndarray, "h w"]:
    """Return the class ids of an image under a rule: thresholds, then small components to background."""
    classes = decide(probabilities, np.array(list(rule.thresholds.values())))
    return without_small(classes, list(rule.minimum_areas.values()))


class DecisionCounts(NamedTuple):
    """Counts of one image under a rule, of each defect class or of the image."""

    pixels: ConfusionCounts
    """int64 [defects] each."""
    found: np.ndarray
    """Labeled components with a pixel predicted as their class, int64 [defects]."""
    missed: np.ndarray
    """Labeled components without, int64 [defects]."""
    false_alarms: np.ndarray
    """Predicted components that touch no pixel labeled as their class, int64 [defects]."""
    labeled: bool
    """Whether the image has a labeled pixel."""
    defective: bool
    """Whether a defect is labeled."""
    scrapped: bool
    """Whether a component of any defect class remains after the minimum areas."""


def decision_counts(
    probabilities: Float32[np.ndarray, "h w defects"], label: UInt8[np.ndarray, "h w"], rule: DecisionRule
) -> DecisionCounts:
    """Return the counts of an image under a rule.

    Args:
        probabilities: of each defect class.
        label: class ids; others are void.
        rule: of these defect classes.
    """
    num_classes = 1 + len(rule.thresholds)
    shows_labels = bool(label.min() < num_classes)
    predicted = class_map(probabilities, rule)
    box = nonzero_box(predicted | label)  # outside of it nothing is counted
    predicted, label = predicted[box], label[box]
    valid = label < num_classes

    def per_class(classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes, minlength=num_classes)[1:]

    positives, labeled = per_class(predicted[valid]), per_class(label[valid])
    true_positives = per_class(label[valid & (predicted == label)])
    matches = match_components(predicted, label, num_classes)
    touched = matches.hits > 0
    return DecisionCounts(
        ConfusionCounts(true_positives, positives - true_positives, labeled - true_positives),
        per_class(matches.labeled.labels[touched]),
        per_class(matches.labeled.labels[~touched]),
        per_class(matches.predicted.labels[matches.false_alarms]),
        shows_labels,
        bool(labeled.any()),
        bool(predicted.any()),
    )


def decision_figures(images: Iterable[DecisionCounts], defects: Sequence[str]) -> DecisionFigures:
    """Return the figures of a part under a rule.

    Args:
        images: counts of each image under the rule.
        defects: names of the defect classes.
    """
    counts = list(images)
    pixels = stack([image.pixels for image in counts])
    found, missed, false_alarms = (
        np.sum([getattr(image, name) for image in counts], axis=0).tolist()
        for name in ("found", "missed", "false_alarms")
    )
    ious, precisions, recalls = (metric(pixels, "dataset") for metric in (iou, precision, recall))
    defective = [image for image in counts if image.defective]
    clean = [image for image in counts if image.labeled and not image.defective]
    return DecisionFigures(
        headline=mean_of_known(ious),
        classes={
            name: DefectFigures(
                *(or_none(values[k]) for values in (ious, precisions, recalls)),
                found=found[k],
                missed=missed[k],
                false_alarms=false_alarms[k],
            )
            for k, name in enumerate(defects)
        },
        defective=len(defective),
        wrongly_passed=sum(not image.scrapped for image in defective),
        clean=len(clean),
        wrongly_scrapped=sum(image.scrapped for image in clean),
    )


class Decidable(Protocol):
    """A labeled image of which classes are decided."""

    @property
    def probabilities(self) -> np.ndarray:
        """Of each defect class, float32 [h, w, defects]."""
        ...

    @property
    def label(self) -> np.ndarray:
        """Class ids, uint8 [h, w]; others are void."""
        ...


def automatic_rule(images: Callable[[], Iterable[Decidable]], defects: Sequence[str]) -> DecisionRule:
    """Return the thresholds, and then the minimum areas, with the largest data-set IoU of each defect class.

    Args:
        images: gives the images of the validation part anew; it is called twice, and none is kept.
        defects: names of the defect classes.
    """
    thresholds = best_thresholds(stack([threshold_counts(x.probabilities, x.label) for x in images()]))
    decided = ((decide(x.probabilities, thresholds), x.label) for x in images())
    minimum_areas = best_minimum_areas(stack([area_counts(*maps, 1 + len(defects)) for maps in decided]))
    return DecisionRule(
        dict(zip(defects, thresholds.tolist(), strict=True)),
        dict(zip(defects, minimum_areas.tolist(), strict=True)),
    )


def threshold_counts(
    probabilities: Float32[np.ndarray, "h w defects"], label: Int[np.ndarray, "h w"]
) -> ConfusionCounts:
    """Count each defect class as if it were predicted wherever its probability exceeds a candidate threshold.

    Args:
        probabilities: of each defect class; NaN exceeds no candidate.
        label: class ids; others are void.

    Returns:
        Counts int64 [candidates, defects].
    """
    defects = probabilities.shape[-1]
    candidates = CANDIDATES.astype(np.float32)

    def exceeding(probabilities: np.ndarray) -> np.ndarray:
        """Return how many of these pixels exceed each candidate."""
        probabilities = probabilities[probabilities > candidates[0]]
        levels = np.bincount(np.searchsorted(candidates, probabilities), minlength=len(candidates) + 1)
        return levels[::-1].cumsum()[::-1][1:]

    hits, positives, labeled = [], [], []
    for k in range(defects):
        inside = label == k + 1
        hits.append(exceeding(probabilities[..., k][inside]))
        positives.append(exceeding(probabilities[..., k][label <= defects]))
        labeled.append(np.count_nonzero(inside))
    true_positives, predicted = np.stack(hits, -1), np.stack(positives, -1)
    return ConfusionCounts(true_positives, predicted - true_positives, np.array(labeled) - true_positives)


def best_thresholds(counts: ConfusionCounts) -> np.ndarray:
    """Return the threshold of each defect class with the largest data-set IoU; .5 if none finds the class.

    Args:
        counts: of `threshold_counts`, [images, candidates, defects].

    Returns:
        float64 [defects].
    """
    ious = dataset_ious(counts)
    return np.where(ious.any(0), CANDIDATES[ious.argmax(0)], 0.5)


def area_counts(
    predicted: UInt8[np.ndarray, "h w"], label: UInt8[np.ndarray, "h w"], num_classes: int
) -> ConfusionCounts:
    """Count each defect class as if its components below a candidate minimum area were background.

    Args:
        predicted: class ids.
        label: class ids; others are void.
        num_classes: number of classes.

    Returns:
        Counts int64 [areas, defects].
    """
    valid = label < num_classes
    right = valid & (predicted == label)
    labeled, positives, true_positives = (
        np.bincount(classes, minlength=num_classes)
        for classes in (label[valid], predicted[valid], label[right])
    )
    components = find_components(predicted, range(1, num_classes))
    component_hits = components.pixels_in(right)
    component_false_alarms = components.pixels_in(valid) - component_hits

    def without_small(pixels: np.ndarray, component_pixels: np.ndarray) -> np.ndarray:
        """Return pixels of each class, without those of components below each candidate, [areas, classes]."""
        small = (components.areas < area for area in AREAS)
        lost = [np.bincount(components.labels[s], component_pixels[s], num_classes) for s in small]
        return pixels - np.stack(lost).astype(np.int64)

    hits = without_small(true_positives, component_hits)[:, 1:]
    false_alarms = without_small(positives - true_positives, component_false_alarms)[:, 1:]
    return ConfusionCounts(hits, false_alarms, labeled[1:] - hits)


def best_minimum_areas(counts: ConfusionCounts) -> np.ndarray:
    """Return the minimum area of each defect class with the largest data-set IoU, the smallest among equals.

    Args:
        counts: of `area_counts`, [images, areas, defects].

    Returns:
        int64 [defects] in pixels; 1 if no area finds the class.
    """
    return AREAS[dataset_ious(counts).argmax(0)]


def dataset_ious(counts: ConfusionCounts) -> np.ndarray:
    """Data-set IoU [candidates, defects] of counts [images, candidates, defects]; 0 where undefined."""
    true_positives, false_positives, false_negatives = (np.sum(count, 0) for count in counts)
    union = true_positives + false_positives + false_negatives
    return np.divide(true_positives, union, out=np.zeros(union.shape), where=union > 0)
