"""The map of pixels at the boundary between classes."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Integer

from balanced_jax._arguments import as_class_indices
from balanced_jax._sharding import shard_automatically
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
    valid = valid_mask(labels, num_classes)
    labels = jnp.where(valid, as_class_indices("labels", labels, num_classes), num_classes)
    return valid & shard_automatically(functools.partial(_touches_another, num_classes=num_classes), labels)


def _touches_another(labels: Integer[Array, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w"]:
    padded = jnp.pad(labels, [(0, 0)] * (labels.ndim - 2) + [(1, 1)] * 2, constant_values=num_classes)
    rows, columns = padded[..., 1:-1], padded[..., 1:-1, :]
    neighbors = rows[..., :-2, :], rows[..., 2:, :], columns[..., :-2], columns[..., 2:]
    differs = [(neighbor != labels) & (neighbor < num_classes) for neighbor in neighbors]
    return functools.reduce(jnp.logical_or, differs)
