"""Segmentation networks: flax linen modules that map images to logits.

The contract of a network that `train` can train follows. A new network is a file in this directory, built
from `layers`; base class `_network.Network` has the fields.

- Fields `num_classes`, the channels of the logits, and `axis_name`, the mapped axis over whose devices batch
  statistics are averaged (None: one device). Training sets both by `clone`.
- `__call__(images, *, train)`: normalized images [b, h, w, c] of any size to float32 logits
  [b, h, w, num_classes], without softmax. `train=True` selects batch statistics and dropout (key `dropout`).
- Collections `params` and `batch_stats` (running statistics, mutable in training only).
- Collection `auxiliary`, if any: further logits [b, h, w, num_classes], sown in training and never by `init`.
  The objective is applied to each of them, with a smaller weight.
- Collection `examples`, read only: `index` [b] is the position of each image in the run. Dropout keys are
  derived from it (see `layers.Dropout`), so that results do not depend on the number of devices. Lifted
  transformations such as `nn.remat` hide it: dropout stands outside of them.
"""

from balanced_jax.models.deeplabv3 import DeepLabV3
from balanced_jax.models.fcn import FCN8s
from balanced_jax.models.pretrained import load_pretrained
from balanced_jax.models.pspnet import PSPNet
from balanced_jax.models.segnet import SegNet
from balanced_jax.models.unet import UNet

__all__ = ["DeepLabV3", "FCN8s", "PSPNet", "SegNet", "UNet", "load_pretrained"]
