"""Electrical commutators with fractures (KolektorSDD), at full size: for an accelerator.

    python -m train fit configs/kolektor_sdd.py --source DIR_WITH_KOLEKTORSDD

One of three folds is the test part (`--data.fold`). The official folds put two items on both sides; the default
ones do not, and `--data.split official` is there to compare with published numbers.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, compared
from train.config import Config, Input, Sampling
from train.data.sets import KolektorSDD

config = Config(
    data=KolektorSDD(),
    model=UNet(),
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
    # Images are 500 pixels wide and 1235 to 1285 high; a window sees the whole width. Seven of eight are clean.
    input=Input(crop=(512, 512)),
    sampling=Sampling(balanced=True, centred=0.5),
    # An epoch is short, 36 images with a defect and as many without.
    epochs=300,
    batch_size=8,
)
configs = compared(config)
