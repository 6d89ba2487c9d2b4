"""Segmentation metrics: confusion counts of each image and class, and ratios of their sums.

Stack the counts of images and batches along the leading axis (`np.concatenate`): they are summed here in
int64, and every reading is right. For "dataset" alone they may be added, on the host and in int64, because
int32 overflows at 2**31 pixels (8192 images of 512x512). Ratios may not be added.

The `reading` says how images enter a ratio:

- "dataset": counts are summed over all images before the ratio is taken; NaN for a class that is neither
  labeled nor predicted anywhere.
- "present": mean over the images in which the class is labeled. False positives on all other images are
  ignored, so show "dataset" beside it.
- "union": mean over the images in which the class is labeled or predicted.
- "all": mean over all images; an image in which the class is neither labeled nor predicted scores 1.

Any other 0/0 scores 0. A class without an image to average over is NaN.
"""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float64, Integer

from balanced_jax._arguments import as_class_indices, check_counts
from balanced_jax._labels import class_counts, one_hot
from balanced_jax.masks.valid import valid_mask

Reading = Literal["dataset", "present", "union", "all"]
"""How images enter a ratio; see the module's docstring."""


class ConfusionCounts(NamedTuple):
    """Pixel counts of each image and class; sums over images belong in int64."""

    true_positives: Integer[Array | np.ndarray, "*images classes"]
    false_positives: Integer[Array | np.ndarray, "*images classes"]
    false_negatives: Integer[Array | np.ndarray, "*images classes"]


def confusion_counts(
    predictions: Integer[ArrayLike, "*batch h w"],
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
) -> ConfusionCounts:
    """Count true positives, false positives and false negatives of each image and class.

    Args:
        predictions: class indices [..., H, W]; outside [0, num_classes) only a false negative is counted.
        labels: class indices [..., H, W]; outside [0, num_classes) a pixel is void and not counted.
        num_classes: number of classes, at least 1.

    Returns:
        Counts [..., classes] in int32. Stack those of batches along the leading axis (`np.concatenate`).

    Raises:
        TypeError: predictions or labels are not integers.
        ValueError: their shapes differ or have fewer than two axes, or num_classes is below 1.

    >>> import numpy as np
    >>> counts = confusion_counts(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 255]]), 2)
    >>> [count.tolist() for count in counts]
    [[1, 1], [0, 1], [1, 0]]
    """
    predictions = as_class_indices("predictions", predictions, num_classes)
    labels = as_class_indices("labels", labels, num_classes)
    if predictions.shape != labels.shape:
        raise ValueError(
            f"predictions must have the shape of labels, {labels.shape}, got {predictions.shape}"
        )
    correct, predicted, labeled = _counts(predictions, labels, num_classes)
    return ConfusionCounts(
        true_positives=correct, false_positives=predicted - correct, false_negatives=labeled - correct
    )


@functools.partial(jax.jit, static_argnums=2)  # one program; eager calls would compile at each call
def _counts(
    predictions: Integer[Array, "*batch h w"], labels: Integer[Array, "*batch h w"], num_classes: int
) -> tuple[Integer[Array, "*batch classes"], ...]:
    """Count the pixels of each class: predicted rightly, predicted, and labeled."""

    def sums_of_planes(p: Array, y: Array) -> tuple[Array, ...]:
        predicted, labeled = one_hot(p, num_classes), one_hot(y, num_classes)
        planes = predicted & labeled, predicted & valid_mask(y, num_classes)[..., None], labeled
        return tuple(jnp.sum(plane, axis=(-3, -2), dtype=jnp.int32) for plane in planes)

    def counts_of_labels(p: Array, y: Array) -> tuple[Array, ...]:
        valid = valid_mask(y, num_classes)
        labeled = jnp.where(valid, y, num_classes).astype(p.dtype)  # void would become a class in fewer bits
        correct = jnp.where(p == labeled, p, num_classes)
        predicted = jnp.where(valid, p, num_classes)
        return tuple(class_counts(classes, num_classes) for classes in (correct, predicted, y))

    return jax.lax.platform_dependent(predictions, labels, cpu=counts_of_labels, default=sums_of_planes)


def iou(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Compute intersection over union of each class, TP / (TP + FP + FN).

    Args:
        counts: of any number of images, on leading axes; of the sum of images under "dataset" alone.
        reading: "dataset", "present", "union" or "all"; see the module's docstring.

    Returns:
        Score of each class in [0, 1], NaN without an image to average over; computed on the host.

    Raises:
        ValueError: an unknown reading, or a count below 0, as int32 makes of large sums.

    >>> import numpy as np
    >>> counts = ConfusionCounts(*np.array([[[6, 3], [9, 0]], [[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    >>> {reading: iou(counts, reading)[1].round(3).item() for reading in ("dataset", "present", "union")}
    {'dataset': 0.6, 'present': 0.75, 'union': 0.375}
    """
    return _score(counts, reading, lambda tp, fp, fn: (tp, tp + fp + fn))


def dice(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Compute the Dice score of each class, 2 TP / (2 TP + FP + FN); see `iou` for arguments and result."""
    return _score(counts, reading, lambda tp, fp, fn: (2 * tp, 2 * tp + fp + fn))


def precision(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Compute the precision of each class, TP / (TP + FP); see `iou` for arguments and result."""
    return _score(counts, reading, lambda tp, fp, fn: (tp, tp + fp))


def recall(counts: ConfusionCounts, reading: Reading) -> Float64[np.ndarray, "classes"]:
    """Compute the recall of each class, TP / (TP + FN); see `iou` for arguments and result."""
    return _score(counts, reading, lambda tp, fp, fn: (tp, tp + fn))


def _score(counts: ConfusionCounts, reading: Reading, ratio) -> Float64[np.ndarray, "classes"]:
    check_counts(**counts._asdict())
    tp, fp, fn = (np.asarray(count, np.int64).reshape(-1, np.shape(count)[-1]) for count in counts)
    if reading == "dataset":
        tp, fp, fn = (count.sum(axis=0, keepdims=True) for count in (tp, fp, fn))
    labeled_or_predicted = tp + fp + fn > 0
    averaged_images = {
        "dataset": labeled_or_predicted,
        "present": tp + fn > 0,
        "union": labeled_or_predicted,
        "all": np.ones_like(labeled_or_predicted),
    }
    if reading not in averaged_images:
        raise ValueError(f'reading must be "dataset", "present", "union" or "all", got {reading!r}')
    numerator, denominator = ratio(tp, fp, fn)
    scores = np.where(labeled_or_predicted, numerator / np.maximum(denominator, 1), 1.0)
    images = averaged_images[reading].sum(axis=0)
    total = np.sum(scores, axis=0, where=averaged_images[reading])
    return np.where(images > 0, total / np.maximum(images, 1), np.nan)
