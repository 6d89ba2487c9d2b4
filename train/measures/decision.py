"""From probabilities to classes: thresholds in place of the largest probability, and minimum areas.

A loss that weighs defects more makes a network say "defect" sooner. Which network is better is seen only when
each may choose how sure it has to be, and how large what it says; the choice is made on the validation part.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from balanced_jax.masks import valid_mask
from balanced_jax.metrics import ConfusionCounts, iou
from train.measures.components import components

CANDIDATES = 1 / (1 + np.exp(-np.linspace(-5, 5, 41)))
"""The thresholds that are tried: .0067 to .9933, evenly spaced in log-odds."""
AREAS = 2 ** np.arange(13)
"""The minimum areas that are tried, in pixels: 1, which keeps all, to 4096."""


def one_against_all(
    probabilities: Float[ArrayLike, "*batch h w classes"], labels: Int[ArrayLike, "*batch h w"]
) -> ConfusionCounts:
    """What each class would count if it were predicted wherever its probability exceeds a threshold.

    Args:
        probabilities: of each class.
        labels: class indices; others are void.

    Returns:
        Counts int32 [*batch, candidates, classes].
    """
    probabilities = jnp.asarray(probabilities)
    classes = probabilities.shape[-1]
    labelled = jax.nn.one_hot(labels, classes, dtype=bool)
    valid = valid_mask(labels, classes)[..., None]

    def count(where: Bool[Array, "*batch h w classes"]) -> Int[Array, "*batch classes"]:
        return where.sum((-3, -2), dtype=jnp.int32)

    def at(threshold) -> ConfusionCounts:
        predicted = probabilities > threshold
        return ConfusionCounts(
            true_positives=count(predicted & labelled),
            false_positives=count(predicted & ~labelled & valid),
            false_negatives=count(~predicted & labelled),
        )

    counts = jax.lax.map(at, jnp.asarray(CANDIDATES, probabilities.dtype))
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -2), counts)


def best_thresholds(counts: ConfusionCounts) -> np.ndarray:
    """The threshold of each defect class with the largest data-set IoU; .5 for a class that is never found.

    Args:
        counts: what `one_against_all` gives, [images, candidates, classes].

    Returns:
        float64 [classes - 1], the background left out.
    """
    defects = _defect_ious(counts)
    return np.where(defects.any(0), CANDIDATES[defects.argmax(0)], 0.5)


def area_counts(predicted: np.ndarray, label: np.ndarray, num_classes: int) -> ConfusionCounts:
    """What each class would count if its components below a minimum area were taken for background.

    The counts of the background, which grows by what is taken away, are left as they are.

    Args:
        predicted: class ids, [h, w].
        label: class ids, [h, w]; others are void.
        num_classes: number of classes.

    Returns:
        Counts int64 [areas, classes].
    """
    valid = label < num_classes
    labelled, found, both = (
        np.bincount(classes, minlength=num_classes)
        for classes in (label[valid], predicted[valid], label[valid & (predicted == label)])
    )
    hits, wrong = (np.tile(count, (AREAS.size, 1)) for count in (both, found - both))
    for component in components(predicted, (1 + np.flatnonzero(found[1:])).tolist()):
        there = label[component.box][component.pixels]
        hit = (there == component.label).sum()
        too_small = component.area < AREAS
        hits[too_small, component.label] -= hit
        wrong[too_small, component.label] -= (there < num_classes).sum() - hit
    return ConfusionCounts(hits, wrong, labelled - hits)


def best_minimum_areas(counts: ConfusionCounts) -> np.ndarray:
    """The minimum area of each defect class with the largest data-set IoU, the smallest among equals.

    Args:
        counts: what `area_counts` gives, [images, areas, classes].

    Returns:
        int64 [classes - 1] in pixels, the background left out; 1 for a class that is never found.
    """
    return AREAS[_defect_ious(counts).argmax(0)]


def _defect_ious(counts: ConfusionCounts) -> np.ndarray:
    """Data-set IoU [candidates, classes - 1] of [images, candidates, classes]; 0 where there is none."""
    candidates = np.shape(counts.true_positives)[1]
    ious = [iou(jax.tree.map(lambda x, i=i: x[:, i], counts), "dataset") for i in range(candidates)]
    return np.nan_to_num(ious)[:, 1:]


def decide(
    probabilities: Float[ArrayLike, "*batch h w classes"], thresholds: Float[ArrayLike, " defects"]
) -> Int[Array, "*batch h w"]:
    """Among the defect classes above their threshold the one that is furthest above, as a ratio; else 0.

    Args:
        probabilities: of each class, the background first.
        thresholds: of each defect class, in (0, 1).

    Returns:
        Class indices, int32.
    """
    defects = jnp.asarray(probabilities)[..., 1:]
    excess = defects / jnp.broadcast_to(jnp.asarray(thresholds, defects.dtype), defects.shape)
    return jnp.where(excess.max(-1) > 1, excess.argmax(-1) + 1, 0).astype(jnp.int32)
