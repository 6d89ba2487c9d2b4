"""TopoMortar for two CPU cores: images resized to 256x256, a narrow U-Net, 960 steps.

python -m train fit configs/topomortar_small.py --source DIR_WITH_TOPOMORTAR --data.labels noisy
"""

import dataclasses

from balanced_jax.models import UNet
from configs.objectives import vary_objective
from configs.topomortar import config as full_size
from train.config import Adam, Augmentation, CosineDecay, Input

config = dataclasses.replace(
    full_size,
    model=UNet(width=12),
    input=Input(size=(256, 256), crop=(96, 96)),
    # Objectives are compared without rotation, which resamples the thin lines of the labels.
    augmentation=Augmentation(rotation=0.0),
    optimizer=Adam(CosineDecay(2e-3)),
    epochs=32,
)
configs = vary_objective(config)
