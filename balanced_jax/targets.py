"""Targets for the losses with probabilities, made from labels."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer

from balanced_jax._arguments import as_class_indices, check_window
from balanced_jax._sharding import shard_automatically
from balanced_jax.masks.confusion import count_by_slices
from balanced_jax.masks.valid import valid_mask

__all__ = ["label_shares"]


def label_shares(
    labels: Integer[ArrayLike, "*batch h w"], num_classes: int, *, window: int = 7
) -> Float[Array, "*batch h w classes"]:
    """Return the share of each class among the labels in the square window around each pixel.

    As targets of a loss they smooth the labels where classes meet: pixels to which `confusion_mask` gives
    small weights keep a weight of 1 and get less certain targets.

    Args:
        labels: class indices [..., H, W] in any integer type. Outside [0, num_classes) a pixel is void: it is
            not counted, and all its shares are 0, which makes it void for a loss.
        num_classes: number of classes, at least 1.
        window: side of the square in pixels, odd and at least 3; a TypeError if not an integer.

    Returns:
        Shares [..., H, W, num_classes] in float32 whose sum is 1, of the non-void pixels inside the image.

    Raises:
        TypeError: labels are not integers.
        ValueError: labels have fewer than two axes, or an argument is outside its range.

    >>> import numpy as np
    >>> print(np.asarray(label_shares(np.array([[0, 0, 1, 255]]), 2, window=3)).round(2)[0])
    [[1.   0.  ]
     [0.67 0.33]
     [0.5  0.5 ]
     [0.   0.  ]]
    """
    check_window(window)
    labels = as_class_indices("labels", labels, num_classes)
    count = functools.partial(_counts, num_classes=num_classes, window=int(window))
    counts = shard_automatically(count, labels)
    shares = counts / jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True), 1)
    return jnp.where(valid_mask(labels, num_classes)[..., None], shares, 0)


def _counts(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> Float[Array, "*batch h w classes"]:
    return jnp.stack(count_by_slices(labels, num_classes, window), axis=-1).astype(jnp.float32)
