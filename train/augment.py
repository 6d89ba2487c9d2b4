"""Random changes of training images, on the device."""

import math
from typing import Any

import dm_pix
import jax
import jax.numpy as jnp

from train.config import Augmentation
from train.data.builder import VOID


def augment(
    key: jax.Array, image: jax.Array, label: jax.Array, how: Augmentation
) -> tuple[jax.Array, jax.Array]:
    """Changes one image, and its label along with it.

    Args:
        key: decides all that is random.
        image: float [h, w, c] with values in 0 to 1.
        label: int32 [h, w].
        how: which changes, and how strong.

    Returns:
        Image and label of the same shapes and types; pixels turned in from outside the image are void.
    """
    flip_key, turn_key, brightness_key, contrast_key = jax.random.split(key, 4)
    if how.flip:
        across, down = jax.random.bernoulli(flip_key, shape=(2,))
        image, label = (jnp.where(across, x[:, ::-1], x) for x in (image, label))
        image, label = (jnp.where(down, x[::-1], x) for x in (image, label))
    if how.rotation:
        limit = how.rotation * math.pi / 180
        angle: Any = jax.random.uniform(turn_key, minval=-limit, maxval=limit)
        # dm-pix turns coordinates by a matrix product, which a TPU would round to bfloat16.
        with jax.default_matmul_precision("float32"):
            image = jnp.asarray(dm_pix.rotate(image, angle, order=1, mode="nearest"))
            turned = dm_pix.rotate(
                label[..., None].astype(jnp.float32), angle, order=0, mode="constant", cval=VOID
            )
        label = jnp.asarray(turned)[..., 0].astype(label.dtype)
    if how.brightness:
        image = jnp.asarray(dm_pix.random_brightness(brightness_key, image, how.brightness))
    if how.contrast:
        lower, upper = 1 - how.contrast, 1 + how.contrast
        image = jnp.asarray(dm_pix.random_contrast(contrast_key, image, lower, upper))
    return image, label
