"""The recipe of the paper's private aluminium profiles, for a folder of your own: for an accelerator.

    python -m train fit configs/aluminium.py --data.images DIR --data.masks DIR

Four classes of defects, whose names you give with `--data.classes`; of 830 images 230 are for the test.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, compared
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
configs = compared(config)
