"""Whole images ranked by how confident the network is of a defect."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from train.measures.bootstrap import interval, resample_weights
from train.measures.figures import or_none
from train.measures.records import ImageLevel, RankingFigures


def image_scores(
    logits: Float[ArrayLike, "*batch h w classes"], valid: Bool[ArrayLike, "*batch h w"]
) -> Float[Array, "*batch classes"]:
    """Return the largest log odds of each class in an image; at the background's index, those of any defect.

    Log odds, log p - log(1 - p), rank as probabilities do, and float32 distinguishes those of probabilities
    that round to 1.

    Args:
        logits: unnormalized scores, the background first.
        valid: which pixels count.

    Returns:
        -inf for an image without valid pixels.
    """
    logits = jnp.asarray(logits)
    top = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=bool)
    total = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    # log(1 - p) plus the total: for the top class, whose 1 - p may round to 0, from the other logits; the
    # other classes have p <= 1/2.
    others = jnp.where(
        top,
        jax.nn.logsumexp(logits, axis=-1, keepdims=True, where=~top),
        total + jnp.log1p(-jnp.exp(logits - total)),
    )
    log_odds = (logits - others).at[..., 0].multiply(-1)
    return log_odds.max((-3, -2), where=jnp.asarray(valid)[..., None], initial=-jnp.inf)


def average_precision(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the area under precision over recall, sum of (R_n - R_{n-1}) P_n over the distinct scores.

    Images of equal score are taken together, so their order does not matter.

    Args:
        scores: of each image, the most confident highest, [images].
        positive: which images show the defect, bool [images].
        weights: how often each image counts, whole numbers [..., images]; once unless given.

    Returns:
        float64 [...] in 0 to 1; NaN where no image is positive.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan))  # the last image of each score
    weights = (np.ones(len(scores)) if weights is None else weights)[..., order]
    images = weights.cumsum(-1)[..., ends]
    true_positives = (weights * positive[order]).cumsum(-1)[..., ends]
    positives = true_positives[..., -1:].sum(-1)  # 0 without images
    steps = np.diff(true_positives, axis=-1, prepend=0)
    area = (steps * true_positives / np.maximum(images, 1)).sum(-1)
    return np.divide(area, positives, out=np.full(positives.shape, np.nan), where=positives > 0)


def image_level(
    scores: np.ndarray,
    present: Sequence[Sequence[int]],
    groups: Sequence[str],
    classes: Sequence[str],
) -> ImageLevel:
    """Return how well images with a defect are told from those without.

    Args:
        scores: of `image_scores`, [images, classes].
        present: class ids that the label of each image shows; images without a labeled pixel are left out.
        groups: of each image.
        classes: names, the background first.
    """
    kept = [i for i, ids in enumerate(present) if ids]
    # At the background's index: any defect.
    positive = np.array(
        [[any(present[i]), *(k in present[i] for k in range(1, len(classes)))] for i in kept], bool
    ).reshape(-1, len(classes))
    scores, groups = scores[kept], [groups[i] for i in kept]
    weights = resample_weights(groups)

    def ranking(k: int) -> RankingFigures:
        resampled = average_precision(scores[:, k], positive[:, k], weights)
        return RankingFigures(
            positive=int(positive[:, k].sum()),
            average_precision=or_none(float(average_precision(scores[:, k], positive[:, k]))),
            interval=interval(resampled, groups, positive[:, k]),
        )

    return ImageLevel(
        images=len(kept),
        any_defect=ranking(0),
        classes={name: ranking(k) for k, name in enumerate(classes) if k},
    )
