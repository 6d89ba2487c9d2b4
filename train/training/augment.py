"""Random changes of training images, on the device."""

import math
from typing import Any

import dm_pix
import jax
import jax.numpy as jnp

from train.config import Augmentation
from train.data.example import VOID


def augment(
    key: jax.Array, image: jax.Array, label: jax.Array, augmentation: Augmentation, masks: Any = None
) -> tuple[jax.Array, jax.Array, Any]:
    """Change one image at random; flip and rotate its label and masks along with it.

    Args:
        key: of all random numbers.
        image: float [h, w, c] with values in 0 to 1.
        label: int32 [h, w].
        augmentation: which changes, and how strong.
        masks: any tree of weight maps [h, w].

    Returns:
        Image, label and masks of the same shapes and dtypes. Pixels rotated in from outside the image are
        void in the label.
    """
    flip_key, rotation_key, brightness_key, contrast_key = jax.random.split(key, 4)
    if augmentation.flip:
        across, down = jax.random.bernoulli(flip_key, shape=(2,))
        image, label, masks = jax.tree.map(lambda x: jnp.where(across, x[:, ::-1], x), (image, label, masks))
        image, label, masks = jax.tree.map(lambda x: jnp.where(down, x[::-1], x), (image, label, masks))
    if augmentation.rotation:
        limit = augmentation.rotation * math.pi / 180
        angle: Any = jax.random.uniform(rotation_key, minval=-limit, maxval=limit)
        # dm-pix rotates coordinates by a matrix product, which a TPU would round to bfloat16.
        with jax.default_matmul_precision("float32"):
            image = jnp.asarray(dm_pix.rotate(image, angle, order=1, mode="nearest"))
            label, masks = jax.tree.map(lambda x: _rotate_map(x, angle), (label, masks))
    if augmentation.brightness:
        image = jnp.asarray(dm_pix.random_brightness(brightness_key, image, augmentation.brightness))
    if augmentation.contrast:
        lower, upper = 1 - augmentation.contrast, 1 + augmentation.contrast
        image = jnp.asarray(dm_pix.random_contrast(contrast_key, image, lower, upper))
    return image, label, masks


def _rotate_map(x: jax.Array, angle: Any) -> jax.Array:
    """Rotate a map [h, w] by an angle in radians, nearest neighbors; `VOID` outside the image."""
    with_channel = x[..., None].astype(jnp.float32)
    rotated = dm_pix.rotate(with_channel, angle, order=0, mode="constant", cval=VOID)
    return jnp.asarray(rotated)[..., 0].astype(x.dtype)
