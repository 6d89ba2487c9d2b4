"""Mean of a map over valid pixels and images."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from balanced_jax._arguments import as_float


def masked_mean(
    values: Float[ArrayLike, "*batch h w"], where: Bool[ArrayLike, "*batch h w"] | None = None
) -> Float[Array, ""]:
    """Compute the mean over the pixels of each image, then over the images that have any.

    Args:
        values: a map, such as the cost of each pixel; may be anything where `where` is False.
        where: which pixels count, usually `valid_mask(labels, num_classes)`. None counts all: the zeros of a
            loss at void pixels then lower its mean.

    Returns:
        The mean, float32, or float64 for float64 values; 0 where nothing counts. Across devices, sum the mean
        of each image and divide by the number of images on all devices.

    Raises:
        TypeError: values are not floating point, or where is not boolean.
        ValueError: values have fewer than two axes, or shapes do not match.

    >>> import numpy as np
    >>> values = np.array([[[1.0, 5.0]], [[3.0, 0.0]]], np.float32)
    >>> where = np.array([[[True, True]], [[True, False]]])
    >>> masked_mean(values, where).item()
    3.0
    >>> masked_mean(values).item()
    2.25
    """
    values = as_float("values", values)
    if values.ndim < 2:
        raise ValueError(f"values must have shape [..., H, W], got {values.shape}")
    where = jnp.ones_like(values, bool) if where is None else jnp.asarray(where)
    if where.dtype != bool:
        raise TypeError(f"where must be boolean, got {where.dtype}")
    if where.shape != values.shape:
        raise ValueError(f"where must have the shape of values, {values.shape}, got {where.shape}")
    pixels = jnp.sum(where, axis=(-2, -1), dtype=jnp.int32)
    per_image = jnp.sum(values, axis=(-2, -1), where=where) / jnp.maximum(pixels, 1).astype(values.dtype)
    images = jnp.sum(pixels > 0, dtype=jnp.int32)
    return jnp.sum(per_image) / jnp.maximum(images, 1).astype(values.dtype)
