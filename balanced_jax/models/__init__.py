"""Networks: images in, one score per pixel and class out."""

from balanced_jax.models.unet import UNet

__all__ = ["UNet"]
