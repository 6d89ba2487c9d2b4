"""Steel sheet with four classes of defects (Severstal) as in the paper, at full size: for an accelerator.

    python -m train fit configs/severstal.py --source DIR_WITH_SEVERSTAL

The test part is drawn at random as in the paper, 3841 of 12568 images; another one with `--data.seed`. Images
of the same sheet may stand on both sides, since nothing says which these are.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, compared
from train.config import Config, Input
from train.data.sets import Severstal

config = Config(
    data=Severstal(),
    model=UNet(),
    objective=OBJECTIVES["closing_relaxing_no_window"],
    # Whole images, 1600x256.
    input=Input(),
    epochs=50,
)
configs = compared(config)
