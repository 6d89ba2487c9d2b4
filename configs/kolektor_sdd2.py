"""Surfaces of a production line (KolektorSDD2) as in the paper, at full size; for an accelerator.

    python -m train fit configs/kolektor_sdd2.py --source DIR_WITH_KOLEKTORSDD2

The split is the official one; the validation part is taken from its training images.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Config, Input
from train.data.sets import KolektorSDD2

config = Config(
    data=KolektorSDD2(),
    model=UNet(),
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
    # Images are about 230 pixels wide and 630 high, so a crop holds nearly a whole image.
    input=Input(crop=(640, 240)),
    epochs=100,
)
configs = vary_objective(config)
