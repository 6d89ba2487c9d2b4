"""NEU-Seg for two CPU cores: images resized to 128x128, a narrow U-Net, 2040 steps.

python -m train fit configs/neu_seg_small.py --source DIR_WITH_NEU_SEG
"""

import dataclasses

from balanced_jax.models import UNet
from configs.neu_seg import config as full_size
from configs.objectives import vary_objective
from train.config import Adam, CosineDecay, Input

config = dataclasses.replace(
    full_size,
    model=UNet(width=8),
    input=Input(size=(128, 128), crop=(64, 64)),
    optimizer=Adam(CosineDecay(1e-3)),
    epochs=10,
)
configs = vary_objective(config)
