"""Magnetic tiles for two CPU cores: every image at 192x192, a narrow U-Net, 8400 steps.

python -m train fit configs/magnetic_tile_small.py --source DIR_WITH_MAGNETIC_TILE
"""

import dataclasses

from balanced_jax.models import UNet
from configs.magnetic_tile import config as full_size
from configs.objectives import vary_objective
from train.config import Adam, CosineDecay, Input, Sampling

config = dataclasses.replace(
    full_size,
    model=UNet(width=8),
    # Resizing distorts tiles that are not square; in exchange a crop of 64x64 spans a third of a tile.
    input=Input(size=(192, 192), crop=(64, 64)),
    sampling=Sampling(balanced=True, centered=0.5, passes=10),
    optimizer=Adam(CosineDecay(4e-3)),
    batch_size=8,
    epochs=15,
)
configs = vary_objective(config)
