"""The skeleton mask: the center lines of what is labeled, for a loss that asks whether these are found."""

import numpy as np
from jaxtyping import ArrayLike, Float32, Integer

from balanced_jax._arguments import as_host_labels


def skeleton_mask(
    labels: Integer[ArrayLike, "*batch h w"], num_classes: int, *, dilations: int = 2
) -> Float32[np.ndarray, "*batch h w"]:
    """Return 1 on the widened skeleton of what is labeled and 0 elsewhere, computed on the host.

    The skeleton is that of all pixels of the classes from 1 on, widened by a pixel to each side `dilations`
    times and cut off where they end. Under this mask, `tversky_loss(alpha=1e-6, beta=1)` is one minus the
    soft recall of each class on its part of the skeleton, the skeleton recall loss (alpha has to be above 0).
    It is added to another loss: pixels that break a line weigh more than pixels that make it thinner.

    scikit-image (`pip install 'balanced_jax[skeleton]'`) finds the skeletons image by image, so this function
    cannot be jitted: make the mask where the data is made, and pass it to the loss as `weights`.

    Args:
        labels, num_classes: see `balanced_jax.masks` (errors, too); a TypeError if labels are traced.
        dilations: how often the skeleton is widened by the four neighbors of each pixel; at least 0.

    Returns:
        Weights of 0 and 1 as a NumPy array in float32; 0 at void pixels and on the background.

    Raises:
        ImportError: scikit-image is missing.

    References:
        Kirchhoff et al. 2024, arXiv:2404.03010, and their code at github.com/MIC-DKFZ/Skeleton-Recall, the
        source of two dilations.

    >>> labels = np.zeros((9, 12), np.uint8)
    >>> labels[2:7, 1:11] = 1
    >>> skeleton_mask(labels, 2, dilations=0).sum(axis=-1).tolist()
    [0.0, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0, 0.0, 0.0]
    """
    from scipy import ndimage
    from skimage.morphology import skeletonize

    labels = as_host_labels(labels, num_classes)
    if dilations < 0:
        raise ValueError(f"dilations must be at least 0, got {dilations}")
    labeled = (labels > 0) & (labels < num_classes)
    mask = np.zeros(labels.shape, np.float32)
    for image in np.ndindex(labels.shape[:-2]):
        skeleton = skeletonize(labeled[image])
        if dilations:
            skeleton = ndimage.binary_dilation(skeleton, iterations=dilations)
        mask[image] = np.logical_and(skeleton, labeled[image])
    return mask
