"""Hot-rolled steel, three defect classes (NEU-Seg), at full size; for an accelerator.

    python -m train fit configs/neu_seg.py --source DIR_WITH_NEU_SEG

The default split has all images of a photograph in one part. To compare with published figures, which most
often come from the official split, which leaks, add `--data.split official`.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Config
from train.data.sets import NeuSeg

config = Config(
    data=NeuSeg(),
    model=UNet(),
    # The truncated loss with thresholds that close over the first 30 % of the run, under class weights that
    # relax to 1, without the confusion mask: the best balanced objective of docs/understand/results.md.
    # `:paper` has the paper's numbers: beta .99, thresholds .3 and .7, window 7, and no ramps.
    objective=OBJECTIVES["closing_relaxing_no_window"],
    epochs=100,
    batch_size=16,
)
configs = vary_objective(config)
