"""The quickstart with Dice alone, to compare with.

python -m train fit configs/quickstart_dice.py
"""

import dataclasses

from balanced_jax.losses import dice_loss
from configs.quickstart import config as quickstart
from train.config import Term

config = dataclasses.replace(quickstart, objective={"dice": Term(dice_loss)})
