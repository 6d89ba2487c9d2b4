"""Inverse weights: connected components of an image weigh equally, whatever their size."""

import numpy as np
from jaxtyping import ArrayLike, Float32, Integer

from balanced_jax._arguments import as_host_labels


def inverse_weight_mask(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    minimum: float | int | np.number = 1.0,
    maximum: float | int | np.number = 2e5,
) -> Float32[np.ndarray, "*batch h w"]:
    """Return weights inverse to the size of each pixel's connected component, computed on the host.

    The components of an image are its background, all pixels of class 0, and the 8-connected components of
    the other classes. In an image of n pixels and K components, a component of m pixels has the weight
    n / (K m), up to the limits, so all components have the same sum of weights. Void pixels belong to no
    component and are not counted in n.

    SciPy finds the components image by image, so this function cannot be jitted: make the mask where the data
    is made, after cropping, and pass it to the loss as `weights`.

    Args:
        labels, num_classes: see `balanced_jax.masks` (errors, too); a TypeError if labels are traced.
        minimum: smallest weight, at least 0.
        maximum: largest weight, at least `minimum`.

    Returns:
        Weights in [minimum, maximum] as a NumPy array in float32, 0 at void pixels. Under the default limits
        a large background weighs 1, not less, so the mean weight of an image exceeds 1.

    References:
        Shirokikh et al. 2020, arXiv:2007.10033, and their code at github.com/neuro-ml/inverse_weighting
        (`cc2weight`), the source of the limits and of 8-connectivity. Both are for two classes and without
        void pixels.

    >>> labels = np.zeros((10, 10), np.uint8)
    >>> labels[1, 1:3] = labels[5:9, 4:9] = 1  # 2 and 20 pixels, and 78 of background
    >>> [round(inverse_weight_mask(labels, 2)[pixel].item(), 2) for pixel in [(1, 1), (5, 5), (0, 0)]]
    [16.67, 1.67, 1.0]
    """
    labels = as_host_labels(labels, num_classes)
    if not 0 <= minimum <= maximum:
        raise ValueError(f"minimum must be in [0, maximum], got minimum={minimum} and maximum={maximum}")
    weights = np.zeros(labels.shape, np.float32)
    for image in np.ndindex(labels.shape[:-2]):
        components = _components(labels[image], num_classes)
        sizes = np.bincount(components[components >= 0])
        number, pixels = np.count_nonzero(sizes), sizes.sum()
        by_component = (
            np.clip(pixels / (number * np.maximum(sizes, 1)), minimum, maximum) if number else sizes
        )
        weights[image] = np.append(by_component, 0)[components]  # index -1, void, is the last entry
    return weights


def _components(labels: Integer[np.ndarray, "h w"], num_classes: int) -> Integer[np.ndarray, "h w"]:
    """Return the number of each pixel's component, from 1; 0 on the background, -1 at void pixels."""
    from scipy import ndimage

    components, class_components = np.where(labels == 0, 0, -1), np.empty(labels.shape, np.int32)
    for k in np.intersect1d(labels, np.arange(1, num_classes)):
        ndimage.label(labels == k, structure=np.ones((3, 3)), output=class_components)
        components = np.where(class_components > 0, class_components + max(components.max(), 0), components)
    return components
