"""The map of pixels that are not void."""

from jaxtyping import Array, ArrayLike, Bool, Integer

from balanced_jax._arguments import as_class_indices


def valid_mask(labels: Integer[ArrayLike, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w"]:
    """Return True where the label is a class, False at void pixels.

    Args:
        labels, num_classes: see `balanced_jax.masks` (result and errors, too).

    >>> import numpy as np
    >>> valid_mask(np.array([[0, 1, 255]], np.uint8), 2).tolist()
    [[True, True, False]]
    """
    labels = as_class_indices("labels", labels, num_classes)
    return (labels >= 0) & (labels < num_classes)
