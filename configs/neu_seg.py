"""Hot-rolled steel, three defect classes (NEU-Seg), at full size: for an accelerator.

    python -m train fit configs/neu_seg.py --source DIR_WITH_NEU_SEG

No photograph stands on two sides of the default split. To compare with published numbers, which most often
come from the leaking official one, add `--data.split official`.
"""

from balanced_jax.losses import softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask
from balanced_jax.models import UNet
from configs.objectives import compared
from train.config import Config, Ramp, Term
from train.data.neu_seg import NeuSeg

config = Config(
    data=NeuSeg(),
    model=UNet(),
    # The balanced loss with thresholds that close over the first third of the run and class weights that
    # relax to 1. The paper's numbers are beta .99, thresholds .3 and .7, window 7, and no ramps.
    objective={
        "balanced": Term(
            softmax_truncated_cross_entropy,
            options={"eps_inf": Ramp(0.0, 0.3, until=0.3), "eps_sup": Ramp(1.0, 0.7, until=0.3)},
            weights=balance_mask,
            weights_options={"beta": 0.99, "window": 3, "power": Ramp(1.0, 0.0)},
        )
    },
    epochs=100,
    batch_size=16,
)
configs = compared(config)
