"""Segmentation networks: flax linen modules that map images to logits.

A network of your own needs the following, as the five networks here have it; `train` asks for nothing else.
Write it as one file in this directory, top-down, from the modules in `layers`.

Fields
    `num_classes`: channels of the logits; training sets it from the data by `clone`. `axis_name`: mapped axis
    over whose devices batch statistics are averaged; training sets it, None elsewhere. Base class
    `_network.Network` has both.

`__call__(images, *, train)`
    Takes normalized images [b, h, w, c] of any size, and returns float32 logits [b, h, w, num_classes]
    without softmax. `train=True` selects batch statistics and dropout.

Collections
    `params`, and `batch_stats` (running statistics; mutable in training only).
    `auxiliary`: further logits [b, h, w, num_classes], sown in training and never by `init`. The objective is
    applied to each of them, with a smaller weight.
    `examples`: read only. Its entry `index` [b] is the position of each image in the run; dropout keys are
    derived from it (see `layers.Dropout`), so that results do not depend on the number of devices.

RNG key `dropout`
    Given in training.
"""

from balanced_jax.models.deeplabv3 import DeepLabV3
from balanced_jax.models.fcn import FCN8s
from balanced_jax.models.pretrained import load_pretrained
from balanced_jax.models.pspnet import PSPNet
from balanced_jax.models.segnet import SegNet
from balanced_jax.models.unet import UNet

__all__ = ["DeepLabV3", "FCN8s", "PSPNet", "SegNet", "UNet", "load_pretrained"]
