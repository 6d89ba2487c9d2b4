"""Random changes of training images, on the device."""

import math
from typing import Any

import dm_pix
import jax
import jax.numpy as jnp

from train.config import Augmentation
from train.data.example import VOID


def augment(
    key: jax.Array, image: jax.Array, label: jax.Array, how: Augmentation, masks: Any = None
) -> tuple[jax.Array, jax.Array, Any]:
    """Changes one image, and its label and masks along with it.

    Args:
        key: decides all that is random.
        image: float [h, w, c] with values in 0 to 1.
        label: int32 [h, w].
        how: which changes, and how strong.
        masks: any tree of maps [h, w] of what pixels count.

    Returns:
        Image, label and masks of the same shapes and types; pixels turned in from outside the image are void.
    """
    flip_key, turn_key, brightness_key, contrast_key = jax.random.split(key, 4)
    if how.flip:
        across, down = jax.random.bernoulli(flip_key, shape=(2,))
        image, label, masks = jax.tree.map(lambda x: jnp.where(across, x[:, ::-1], x), (image, label, masks))
        image, label, masks = jax.tree.map(lambda x: jnp.where(down, x[::-1], x), (image, label, masks))
    if how.rotation:
        limit = how.rotation * math.pi / 180
        angle: Any = jax.random.uniform(turn_key, minval=-limit, maxval=limit)
        # dm-pix turns coordinates by a matrix product, which a TPU would round to bfloat16.
        with jax.default_matmul_precision("float32"):
            image = jnp.asarray(dm_pix.rotate(image, angle, order=1, mode="nearest"))
            label, masks = jax.tree.map(lambda x: _turned(x, angle), (label, masks))
    if how.brightness:
        image = jnp.asarray(dm_pix.random_brightness(brightness_key, image, how.brightness))
    if how.contrast:
        lower, upper = 1 - how.contrast, 1 + how.contrast
        image = jnp.asarray(dm_pix.random_contrast(contrast_key, image, lower, upper))
    return image, label, masks


def _turned(x: jax.Array, angle: Any) -> jax.Array:
    """A map [h, w] turned by an angle in radians, nearest neighbours; `VOID` where it comes from outside."""
    wide = x[..., None].astype(jnp.float32)
    turned = dm_pix.rotate(wide, angle, order=0, mode="constant", cval=VOID)
    return jnp.asarray(turned)[..., 0].astype(x.dtype)
