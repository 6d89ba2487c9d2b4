"""Class weights that are given, equal for all images."""

from collections.abc import Sequence

from jaxtyping import Array, ArrayLike, Float, Integer, Real, ScalarLike

from balanced_jax._arguments import as_class_indices, as_class_values
from balanced_jax._labels import broadcast_by_label


def fixed_class_weights(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    values: Real[ArrayLike, "..."] | Sequence[ScalarLike],
) -> Float[Array, "*batch h w"]:
    """Return the given weight of each pixel's class.

    With the ratio of the images without a class to those with it, 1 for the background, cross-entropy under
    this mask is the weighted cross-entropy that Xie et al. 2023 compare with.

    Args:
        labels, num_classes: see `balanced_jax.masks` (result and errors, too).
        values: weight of each class, [num_classes], finite and at least 0. May be traced.

    >>> import numpy as np
    >>> fixed_class_weights(np.array([[0, 1, 255]], np.uint8), 2, values=[1.0, 9.0]).tolist()
    [[1.0, 9.0, 0.0]]
    """
    labels = as_class_indices("labels", labels, num_classes)
    return broadcast_by_label(as_class_values("values", values, num_classes), labels)
