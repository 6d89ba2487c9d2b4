"""Weights that make up for small things beside large ones of the same class."""

import numpy as np
from jax.core import Tracer
from jaxtyping import ArrayLike, Float32, Integer


def inverse_weight_mask(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    minimum: float | int = 1.0,
    maximum: float | int = 2e5,
) -> Float32[np.ndarray, "*batch h w"]:
    """Weight of each pixel by the size of the connected thing it belongs to, computed on the host.

    The parts of an image are its background, which is all of class 0, and things, which are pixels of one
    class above 0 joined by their sides or corners. In an image of n pixels and K parts, a part of m pixels
    has the weight n / (K m), up to the limits, so that all parts hold as much of the image's weight. Void
    pixels belong to nothing and are not among the n.

    Components are found by scipy, one image after the other, so this is no function for `jax.jit`: make the
    mask where the data is made, after cropping, and hand it to the loss as `weights`.

    Args:
        labels: class indices, concrete; outside [0, num_classes) a pixel is void.
        num_classes: number of classes, at least 1.
        minimum: no pixel weighs less; at least 0.
        maximum: no pixel weighs more; at least `minimum`.

    Returns:
        Weights in [minimum, maximum] as a NumPy array in float32, 0 at void pixels. Under the default limits
        those of a large background are 1, not less, so that the mean weight of an image exceeds 1.

    Raises:
        TypeError: labels are not integers, or are traced.
        ValueError: num_classes is below 1, labels have fewer than two axes, or limits that are below 0 or
            cross.

    References:
        Shirokikh et al. 2020, arXiv:2007.10033, and their code at github.com/neuro-ml/inverse_weighting
        (`cc2weight`), from which the limits and the joining by corners are. Theirs is of two classes; that a
        thing is of one class, and void, are ours.

    >>> labels = np.zeros((10, 10), np.uint8)
    >>> labels[1, 1:3] = labels[5:9, 4:9] = 1  # 2 and 20 pixels, and 78 of background
    >>> [round(inverse_weight_mask(labels, 2)[place].item(), 2) for place in [(1, 1), (5, 5), (0, 0)]]
    [16.67, 1.67, 1.0]
    """
    if isinstance(labels, Tracer):
        raise TypeError(
            f"labels must be concrete, since components are found on the host, got {labels}: "
            "make the mask outside of jit and vmap"
        )
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if labels.ndim < 2:
        raise ValueError(f"labels must have shape [..., H, W], got {labels.shape}")
    if not 0 <= minimum <= maximum:
        raise ValueError(f"minimum must be in [0, maximum], got minimum={minimum} and maximum={maximum}")
    weights = np.zeros(labels.shape, np.float32)
    for image in np.ndindex(labels.shape[:-2]):
        things = _things(labels[image], num_classes)
        sizes = np.bincount(things[things >= 0])
        parts, pixels = np.count_nonzero(sizes), sizes.sum()
        of_thing = np.clip(pixels / (parts * np.maximum(sizes, 1)), minimum, maximum) if parts else sizes
        weights[image] = np.append(of_thing, 0)[things]  # the last entry is that of void, -1
    return weights


def _things(labels: Integer[np.ndarray, "h w"], num_classes: int) -> Integer[np.ndarray, "h w"]:
    """The number of the thing at each pixel, from 1; 0 on the background, -1 at void pixels."""
    from scipy import ndimage

    things, components = np.where(labels == 0, 0, -1), np.empty(labels.shape, np.int32)
    for k in np.intersect1d(labels, np.arange(1, num_classes)):
        ndimage.label(labels == k, structure=np.ones((3, 3)), output=components)
        things = np.where(components > 0, components + max(things.max(), 0), things)
    return things
