"""Electrical commutators with fractures (KolektorSDD) at full size; for an accelerator.

    python -m train fit configs/kolektor_sdd.py --source DIR_WITH_KOLEKTORSDD

One of three folds is the test part (`--data.fold`). The official folds separate two pairs of items that are
the same photographs; the default folds do not. Take `--data.split official` to compare with published
figures.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Config, Input, Sampling
from train.data.sets import KolektorSDD

config = Config(
    data=KolektorSDD(),
    model=UNet(),
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
    # Images are 500 pixels wide and 1235 to 1285 high, so a crop holds the whole width. Seven of eight are
    # clean.
    input=Input(crop=(512, 512)),
    sampling=Sampling(balanced=True, centered=0.5),
    # An epoch has only 54 images, 27 with a defect and 27 without.
    epochs=300,
    batch_size=8,
)
configs = vary_objective(config)
