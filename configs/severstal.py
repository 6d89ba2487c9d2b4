"""Steel sheet with four classes of defects (Severstal) as in the paper, at full size; for an accelerator.

    python -m train fit configs/severstal.py --source DIR_WITH_SEVERSTAL

The test part is drawn at random as in the paper, 3841 of 12568 images; `--data.seed` draws another. Images of
one sheet may be in different parts, because the data set does not say which images show one sheet.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Config, Input
from train.data.sets import Severstal

config = Config(
    data=Severstal(),
    model=UNet(),
    objective=OBJECTIVES["closing_relaxing_no_window"],
    # Whole images, 1600 pixels wide and 256 high.
    input=Input(),
    epochs=50,
)
configs = vary_objective(config)
