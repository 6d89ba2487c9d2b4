"""Networks: images in, one score per pixel and class out."""

from balanced_jax.models.deeplabv3 import DeepLabV3
from balanced_jax.models.fcn import FCN8s
from balanced_jax.models.pretrained import load_pretrained
from balanced_jax.models.pspnet import PSPNet
from balanced_jax.models.segnet import SegNet
from balanced_jax.models.unet import UNet

__all__ = ["DeepLabV3", "FCN8s", "PSPNet", "SegNet", "UNet", "load_pretrained"]
