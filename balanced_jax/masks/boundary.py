"""Where two classes meet."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Integer

from balanced_jax._arguments import as_classes
from balanced_jax.masks.valid import valid_mask


def boundary_mask(labels: Integer[ArrayLike, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w"]:
    """True where a pixel above, below, left or right has another class.

    Args:
        labels: class indices; outside [0, num_classes) a pixel is void, and a void pixel neither is a
            boundary nor makes one.
        num_classes: number of classes, at least 1.

    Returns:
        Which pixels touch another class; the line is two pixels wide, one on each side.

    Raises:
        TypeError: labels are not integers.
        ValueError: num_classes is below 1, or labels have fewer than two axes.

    >>> import numpy as np
    >>> boundary_mask(np.array([[0, 0, 1, 1, 255, 0]]), 2).tolist()
    [[False, True, True, False, False, False]]
    """
    labels, valid = as_classes("labels", labels, num_classes), valid_mask(labels, num_classes)
    down = (labels[..., 1:, :] != labels[..., :-1, :]) & valid[..., 1:, :] & valid[..., :-1, :]
    right = (labels[..., 1:] != labels[..., :-1]) & valid[..., 1:] & valid[..., :-1]
    edges = jnp.zeros_like(valid)
    edges = edges.at[..., :-1, :].max(down).at[..., 1:, :].max(down)
    return edges.at[..., :-1].max(right).at[..., 1:].max(right)
