"""From probabilities to classes by thresholds and minimum areas, in place of the most probable class.

A loss that weights defects more raises their probabilities. Networks trained with different losses compare
fairly only when the thresholds and minimum areas of each are chosen, on the validation part.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from balanced_jax.masks import valid_mask
from balanced_jax.metrics import ConfusionCounts, iou
from train.measures.components import find_components
from train.measures.records import LARGEST_MINIMUM_AREA

CANDIDATES = 1 / (1 + np.exp(-np.linspace(-5, 5, 41)))
"""Candidate thresholds: .0067 to .9933, evenly spaced in log odds."""
_AREAS = 2 ** np.arange(LARGEST_MINIMUM_AREA.bit_length())
"""Candidate minimum areas in pixels: 1, which keeps all components, to 4096."""


def one_against_all(
    probabilities: Float[ArrayLike, "*batch h w classes"], labels: Int[ArrayLike, "*batch h w"]
) -> ConfusionCounts:
    """Count each class as if it were predicted wherever its probability exceeds a candidate threshold.

    Args:
        probabilities: of each class.
        labels: class indices; others are void.

    Returns:
        Counts int32 [*batch, candidates, classes].
    """
    probabilities, labels = jnp.asarray(probabilities), jnp.asarray(labels)
    classes = probabilities.shape[-1]
    valid = valid_mask(labels, classes)
    labels = jnp.where(valid, labels, 0)
    candidates = jnp.asarray(CANDIDATES, probabilities.dtype)

    labeled = jnp.take_along_axis(probabilities, labels[..., None], -1)[..., 0]
    exceeded = jnp.searchsorted(candidates, jnp.nan_to_num(labeled))  # the number of candidates below

    def histogram(labels: Array, exceeded: Array, valid: Array) -> Array:
        return jnp.zeros((classes, len(candidates) + 1), jnp.int32).at[labels, exceeded].add(valid)

    levels = jnp.vectorize(histogram, signature="(h,w),(h,w),(h,w)->(c,l)")(labels, exceeded, valid)
    missed = jnp.moveaxis(jnp.cumsum(levels, axis=-1), -1, -2)
    false_negatives = missed[..., :-1, :]
    true_positives = missed[..., -1:, :] - false_negatives

    considered = jnp.where(valid[..., None], probabilities, -1)
    predicted = jax.lax.map(lambda candidate: (considered > candidate).sum((-3, -2), jnp.int32), candidates)
    false_positives = jnp.moveaxis(predicted, 0, -2) - true_positives
    return ConfusionCounts(true_positives, false_positives, false_negatives)


def best_thresholds(counts: ConfusionCounts) -> np.ndarray:
    """Return the threshold of each defect class with the largest data-set IoU; .5 if none finds the class.

    Args:
        counts: of `one_against_all`, [images, candidates, classes].

    Returns:
        float64 [classes - 1], without the background.
    """
    defects = _defect_ious(counts)
    return np.where(defects.any(0), CANDIDATES[defects.argmax(0)], 0.5)


def area_counts(predicted: np.ndarray, label: np.ndarray, num_classes: int) -> ConfusionCounts:
    """Count each class as if its components below a candidate minimum area were background.

    The counts of the background itself, which would grow, are not updated.

    Args:
        predicted: class ids, [h, w].
        label: class ids, [h, w]; others are void.
        num_classes: number of classes.

    Returns:
        Counts int64 [areas, classes].
    """
    valid = label < num_classes
    labeled, positives, true_positives = (
        np.bincount(classes, minlength=num_classes)
        for classes in (label[valid], predicted[valid], label[valid & (predicted == label)])
    )
    components = find_components(predicted, (1 + np.flatnonzero(positives[1:])).tolist())
    component_hits = components.pixels_in(valid & (predicted == label))
    component_false_alarms = components.pixels_in(valid) - component_hits

    def without_small(pixels: np.ndarray, component_pixels: np.ndarray) -> np.ndarray:
        """Return pixels of each class, without those of components below each candidate, [areas, classes]."""
        small = (components.areas < area for area in _AREAS)
        lost = [np.bincount(components.labels[s], component_pixels[s], num_classes) for s in small]
        return pixels - np.stack(lost).astype(np.int64)

    hits = without_small(true_positives, component_hits)
    false_alarms = without_small(positives - true_positives, component_false_alarms)
    return ConfusionCounts(hits, false_alarms, labeled - hits)


def best_minimum_areas(counts: ConfusionCounts) -> np.ndarray:
    """Return the minimum area of each defect class with the largest data-set IoU, the smallest among equals.

    Args:
        counts: of `area_counts`, [images, areas, classes].

    Returns:
        int64 [classes - 1] in pixels, without the background; 1 if no area finds the class.
    """
    return _AREAS[_defect_ious(counts).argmax(0)]


def _defect_ious(counts: ConfusionCounts) -> np.ndarray:
    """Data-set IoU [candidates, classes - 1] of counts [images, candidates, classes]; 0 where undefined."""
    candidates = np.shape(counts.true_positives)[1]
    ious = [iou(jax.tree.map(lambda x, i=i: x[:, i], counts), "dataset") for i in range(candidates)]
    return np.nan_to_num(ious)[:, 1:]


def decide(
    probabilities: Float[ArrayLike, "*batch h w classes"], thresholds: Float[ArrayLike, " defects"]
) -> Int[Array, "*batch h w"]:
    """Return the defect class with the largest ratio of probability to threshold, if above 1; else 0.

    Args:
        probabilities: of each class, the background first.
        thresholds: of each defect class, in (0, 1).

    Returns:
        Class indices, int32.
    """
    defects = jnp.asarray(probabilities)[..., 1:]
    excess = defects / jnp.broadcast_to(jnp.asarray(thresholds, defects.dtype), defects.shape)
    return jnp.where(excess.max(-1) > 1, excess.argmax(-1) + 1, 0).astype(jnp.int32)
