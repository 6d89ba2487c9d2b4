"""Hot-rolled steel, three defect classes (NEU-Seg), at full size: for an accelerator.

    python -m train fit configs/neu_seg.py --source DIR_WITH_NEU_SEG

No photograph stands on two sides of the default split. To compare with published numbers, which most often
come from the leaking official one, add `--data.split official`.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, compared
from train.config import Config
from train.data.neu_seg import NeuSeg

config = Config(
    data=NeuSeg(),
    model=UNet(),
    # The balanced loss with thresholds that close over the first third of the run and class weights that
    # relax to 1. The paper's numbers are beta .99, thresholds .3 and .7, window 7, and no ramps.
    objective=OBJECTIVES["closing_relaxing_window_3"],
    epochs=100,
    batch_size=16,
)
configs = compared(config)
