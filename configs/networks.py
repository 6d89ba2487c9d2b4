"""All networks, each with a quarter of its published width, on the generated surfaces of the quickstart.

python -m train fit configs/networks.py:pspnet
"""

import dataclasses

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from configs.quickstart import config as quickstart

NETWORKS = {
    "unet": UNet(width=16),
    "fcn8s": FCN8s(width=16),
    "segnet": SegNet(width=16),
    "deeplabv3": DeepLabV3(width=16),
    "deeplabv3plus": DeepLabV3(width=16, output_stride=16, decoder=True),
    "pspnet": PSPNet(width=16),
}

configs = {name: dataclasses.replace(quickstart, model=model) for name, model in NETWORKS.items()}
config = configs["unet"]
