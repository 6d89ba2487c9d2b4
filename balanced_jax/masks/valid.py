"""Which pixels have a label at all."""

from jaxtyping import Array, ArrayLike, Bool, Integer

from balanced_jax._arguments import as_classes


def valid_mask(labels: Integer[ArrayLike, "*batch h w"], num_classes: int) -> Bool[Array, "*batch h w"]:
    """True where the label is a class, False at void pixels.

    Args:
        labels: class indices; whatever lies outside [0, num_classes) is void, so -1 and 255 are.
        num_classes: number of classes, at least 1.

    Returns:
        Which pixels take part in losses, masks and metrics.

    Raises:
        TypeError: labels are not integers.
        ValueError: num_classes is below 1, or labels have fewer than two axes.

    >>> import numpy as np
    >>> valid_mask(np.array([[0, 1, 255]], np.uint8), 2).tolist()
    [[True, True, False]]
    """
    labels = as_classes("labels", labels, num_classes)
    return (labels >= 0) & (labels < num_classes)
