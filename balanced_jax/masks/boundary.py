"""The map of pixels at the boundary between classes."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Integer

from balanced_jax._arguments import as_class_indices
from balanced_jax.masks.valid import valid_mask


def boundary_mask(labels: Integer[ArrayLike, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w"]:
    """Return True where a pixel above, below, left or right has another class.

    A boundary is two pixels wide, one on each side. A void pixel neither is a boundary nor makes one.

    Args:
        labels, num_classes: see `balanced_jax.masks` (result and errors, too).

    >>> import numpy as np
    >>> boundary_mask(np.array([[0, 0, 1, 1, 255, 0]]), 2).tolist()
    [[False, True, True, False, False, False]]
    """
    labels, valid = as_class_indices("labels", labels, num_classes), valid_mask(labels, num_classes)
    vertical = (labels[..., 1:, :] != labels[..., :-1, :]) & valid[..., 1:, :] & valid[..., :-1, :]
    horizontal = (labels[..., 1:] != labels[..., :-1]) & valid[..., 1:] & valid[..., :-1]
    edges = jnp.zeros_like(valid)
    edges = edges.at[..., :-1, :].max(vertical).at[..., 1:, :].max(vertical)
    return edges.at[..., :-1].max(horizontal).at[..., 1:].max(horizontal)
