"""Overlap of predicted and true regions: counts first, ratios after.

Counts of images and of batches add up; ratios never do. Every ratio is given under a named reading,
because a class that an image does not hold can be read in several ways:

- "dataset": counts are summed over all images before the ratio is taken. NaN for a class that is neither
  labelled nor predicted anywhere.
- "present": mean over the images in which the class is labelled. It forgives every false alarm on a clean
  image, so show "dataset" beside it.
- "union": mean over the images in which it is labelled or predicted.
- "all": mean over all images; one in which the class is neither labelled nor predicted scores 1.

Any other 0/0 scores 0, and a class without an image to average over is NaN.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float64, Integer

from balanced_jax._arguments import as_classes
from balanced_jax._labels import class_pixels
from balanced_jax.masks.valid import valid_mask

Reading = Literal["dataset", "present", "union", "all"]


class ConfusionCounts(NamedTuple):
    """Pixels of each image and class, by whether they are labelled so and predicted so."""

    true_positives: Integer[Array | np.ndarray, "*images classes"]
    false_positives: Integer[Array | np.ndarray, "*images classes"]
    false_negatives: Integer[Array | np.ndarray, "*images classes"]


def confusion_counts(
    predictions: Integer[ArrayLike, "*batch h w"],
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
) -> ConfusionCounts:
    """Count, image by image, where prediction and label agree.

    Args:
        predictions: class indices; whatever lies outside [0, num_classes) is no class, hence a miss.
        labels: class indices; outside [0, num_classes) a pixel is void and not counted.
        num_classes: number of classes, at least 1.

    Returns:
        Counts in int32. Stack those of many images along the leading axis (`np.concatenate`).

    Raises:
        TypeError: predictions or labels are not integers.
        ValueError: their shapes differ or have fewer than two axes, or num_classes is below 1.

    >>> import numpy as np
    >>> counts = confusion_counts(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 255]]), 2)
    >>> [count.tolist() for count in counts]
    [[1, 1], [0, 1], [1, 0]]
    """
    predictions = as_classes("predictions", predictions, num_classes)
    labels = as_classes("labels", labels, num_classes)
    if predictions.shape != labels.shape:
        raise ValueError(
            f"predictions must have the shape of labels, {labels.shape}, got {predictions.shape}"
        )
    labelled = class_pixels(labels, num_classes)
    predicted = class_pixels(jnp.where(valid_mask(labels, num_classes), predictions, -1), num_classes)
    both = class_pixels(jnp.where(predictions == labels, labels, -1), num_classes)
    return ConfusionCounts(
        true_positives=both, false_positives=predicted - both, false_negatives=labelled - both
    )


def iou(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Intersection over union of each class, TP / (TP + FP + FN).

    Args:
        counts: of any number of images, on leading axes.
        reading: "dataset", "present", "union" or "all"; see the head of this module.

    Returns:
        A score in [0, 1] for each class, NaN where no image is left to average over. Computed on the host.

    Raises:
        ValueError: an unknown reading.

    >>> import numpy as np
    >>> found = ConfusionCounts(*np.array([[[6, 3], [9, 0]], [[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    >>> {reading: iou(found, reading)[1].round(3).item() for reading in ("dataset", "present", "union")}
    {'dataset': 0.6, 'present': 0.75, 'union': 0.375}
    """
    return _score(counts, reading, lambda tp, fp, fn: (tp, tp + fp + fn))


def dice(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Dice coefficient of each class, 2 TP / (2 TP + FP + FN); arguments and result as for `iou`."""
    return _score(counts, reading, lambda tp, fp, fn: (2 * tp, 2 * tp + fp + fn))


def precision(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Share of each class's predictions that are right, TP / (TP + FP); arguments and result as for `iou`."""
    return _score(counts, reading, lambda tp, fp, fn: (tp, tp + fp))


def recall(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Share of each class's labels that are found, TP / (TP + FN); arguments and result as for `iou`."""
    return _score(counts, reading, lambda tp, fp, fn: (tp, tp + fn))


def _score(counts, reading, ratio) -> Float64[np.ndarray, "classes"]:
    tp, fp, fn = (np.asarray(count, np.int64).reshape(-1, np.shape(count)[-1]) for count in counts)
    if reading == "dataset":
        tp, fp, fn = (count.sum(axis=0, keepdims=True) for count in (tp, fp, fn))
    found = tp + fp + fn > 0
    chosen = {"dataset": found, "present": tp + fn > 0, "union": found, "all": np.ones_like(found)}
    if reading not in chosen:
        raise ValueError(f'reading must be "dataset", "present", "union" or "all", got {reading!r}')
    part, whole = ratio(tp, fp, fn)
    scores = np.where(found, part / np.maximum(whole, 1), 1.0)
    images = chosen[reading].sum(axis=0)
    total = np.sum(scores, axis=0, where=chosen[reading])
    return np.where(images > 0, total / np.maximum(images, 1), np.nan)
