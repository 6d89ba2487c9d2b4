"""Generated metal surfaces and a small U-Net: trains in minutes on two CPU cores, without any files.

    python -m train fit configs/quickstart.py
    python -m train compare configs/quickstart.py

`compare` trains the same network with four losses, two seeds each.
"""

from balanced_jax.losses import softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask
from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.comparison.definition import Comparison
from train.config import Adam, Config, CosineDecay, Input, Ramp, Term
from train.data.sets import Generated

config = Config(
    data=Generated(),
    model=UNet(width=16, depth=3),
    # The balanced loss with thresholds that close over the whole run and class weights that relax to 1. If
    # the thresholds close earlier, faint spots that the network has not found by then are never found,
    # because the gradient at confidently wrong pixels becomes small. The window is narrow because defects are
    # thin.
    objective={
        "balanced": Term(
            softmax_truncated_cross_entropy,
            options={"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)},
            weights=balance_mask,
            weights_options={"beta": 0.99, "window": 3, "power": Ramp(1.0, 0.0)},
        )
    },
    input=Input(crop=(64, 64)),
    optimizer=Adam(CosineDecay(2e-3)),
    epochs=24,
)
configs = vary_objective(config)

comparison = Comparison(
    config,
    objectives={
        **{name: OBJECTIVES[name] for name in ("cross_entropy", "cross_entropy_dice", "dice")},
        "balanced": config.objective,
    },
    seeds=(0, 1),
)
