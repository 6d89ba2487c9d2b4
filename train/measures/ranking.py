"""Whole images put in order by how sure the network is of a defect in them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float


def image_scores(
    logits: Float[ArrayLike, "*batch h w classes"], valid: Bool[ArrayLike, "*batch h w"]
) -> Float[Array, "*batch classes"]:
    """The largest probability of each class in an image; in the place of the background that of any defect.

    In log-odds, log p - log(1 - p): the order is that of the probabilities, but float32 can still tell apart
    what rounds to a probability of 1.

    Args:
        logits: unnormalised scores, the background first.
        valid: which pixels count.

    Returns:
        -inf for an image without valid pixels.
    """
    logits = jnp.asarray(logits)
    top = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=bool)
    total = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    # What the other classes have: summed up for the top class, whose 1 - p may round to 0; else p <= 1/2.
    others = jnp.where(
        top,
        jax.nn.logsumexp(logits, axis=-1, keepdims=True, where=~top),
        total + jnp.log1p(-jnp.exp(logits - total)),
    )
    odds = (logits - others).at[..., 0].multiply(-1)
    return odds.max((-3, -2), where=jnp.asarray(valid)[..., None], initial=-jnp.inf)


def average_precision(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Area under precision over recall in steps, sum of (R_n - R_{n-1}) P_n over the distinct scores.

    Images of one score are found together, so the order that they happen to have is worth nothing.

    Args:
        scores: of each image, the surest highest, [images].
        positive: which images have what is looked for, bool [images].
        weights: how often each image counts, whole numbers [..., images]; once unless given.

    Returns:
        float64 [...] in 0 to 1; NaN where no image is positive.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan))  # the last image of each score
    weights = (np.ones(len(scores)) if weights is None else weights)[..., order]
    seen = weights.cumsum(-1)[..., ends]
    found = (weights * positive[order]).cumsum(-1)[..., ends]
    total = found[..., -1:].sum(-1)  # 0 without images
    area = (np.diff(found, axis=-1, prepend=0) * found / np.maximum(seen, 1)).sum(-1)
    return np.divide(area, total, out=np.full(total.shape, np.nan), where=total > 0)
