"""Generated metal surfaces and a small U-Net: trains in minutes on two CPU cores, without any files.

    python -m train fit configs/quickstart.py
    python -m train compare configs/quickstart.py

`compare` trains the same network with four losses, two seeds each.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.comparison.definition import Comparison
from train.config import Adam, Config, CosineDecay, Input
from train.data.sets import Generated

config = Config(
    data=Generated(),
    model=UNet(width=16, depth=3),
    # The balanced loss without its confusion mask, because defects are thin. Its thresholds close over the
    # whole run: if they close earlier, faint spots that the network has not found by then are never found,
    # because the gradient at confidently wrong pixels becomes small.
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
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
