"""Aluminum profiles as in the paper, whose data is private, on a folder of your own; for an accelerator.

    python -m train fit configs/aluminium.py --data.images DIR --data.masks DIR

`--data.classes` names the background and the four classes of defects. The test part has 230 of 830 images.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Config, Input
from train.data.sets import Folder

config = Config(
    data=Folder(
        classes=("background", "defect 1", "defect 2", "defect 3", "defect 4"),
        test=230 / 830,
        validation=0.1,
    ),
    model=UNet(),
    objective=OBJECTIVES["closing_relaxing_no_window"],
    input=Input(crop=(512, 512)),
    epochs=100,
)
configs = vary_objective(config)
