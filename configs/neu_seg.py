"""Hot-rolled steel, three defect classes (NEU-Seg), at full size: for an accelerator.

    python -m train fit configs/neu_seg.py --source DIR_WITH_NEU_SEG

No photograph stands on two sides of the default split. To compare with published numbers, which most often
come from the leaking official one, add `--data.split official`.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, compared
from train.config import Config
from train.data.sets import NeuSeg

config = Config(
    data=NeuSeg(),
    model=UNet(),
    # The truncated loss, its thresholds closing over the first 30 % of the run, under class weights that relax
    # to 1, and no confusion mask: the best of the balanced forms in the README's table. `:paper` has the
    # paper's: beta .99, thresholds .3 and .7, window 7, and no ramps.
    objective=OBJECTIVES["closing_relaxing_no_window"],
    epochs=100,
    batch_size=16,
)
configs = compared(config)
