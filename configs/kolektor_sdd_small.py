"""KolektorSDD at half size for two CPU cores: a narrow U-Net, 2400 steps.

    python -m train fit configs/kolektor_sdd_small.py --source DIR_WITH_KOLEKTORSDD --data-dir DIR

The source holds images and label images at half the published size, 250 pixels wide and about 630 high, under
the published names. Prepared data is found by the name of the set, whatever its size, so give a `--data-dir` of
its own if the full size is prepared, too.
"""

import dataclasses

from balanced_jax.models import UNet
from configs.kolektor_sdd import config as full_size
from configs.objectives import vary_objective
from train.config import Adam, Augmentation, CosineDecay, Input, Sampling

config = dataclasses.replace(
    full_size,
    model=UNet(width=8),
    # Half the width of an image. Nine of ten fractures are 64 to 194 pixels wide, and half of all fit in a crop.
    input=Input(crop=(128, 128)),
    # A pass has only 54 images in 6 steps.
    sampling=Sampling(balanced=True, centered=0.5, passes=20),
    # Objectives are compared without rotation, which resamples thin labels.
    augmentation=Augmentation(rotation=0.0),
    optimizer=Adam(CosineDecay(2e-3)),
    epochs=20,
)
configs = vary_objective(config)
