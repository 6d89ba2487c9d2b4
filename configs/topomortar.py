"""Mortar between bricks (TopoMortar), with accurate or badly drawn labels, at full size; for an accelerator.

    python -m train fit configs/topomortar.py --source DIR_WITH_TOPOMORTAR --data.labels noisy

`--data.labels` is the kind of labels of the training part: accurate, pseudo (too wide lines) or noisy (too thin,
interrupted lines). The test part always has accurate labels. The best checkpoint and the decision thresholds are
chosen on the validation part, whose labels are of the same kind unless `--data.validation-labels accurate` is
given.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Adam, Config, CosineDecay, Input, Sampling
from train.data.sets import TopoMortar

config = Config(
    data=TopoMortar(),
    model=UNet(),
    # The paper's numbers: in a first trial on noisy labels, at the size of configs/topomortar_small.py and with
    # one seed, they had an IoU of .69 on the accurate labels of the test part, and cross-entropy with Dice .52.
    # Cross-entropy under the paper's class weights alone had .70: weights make up for lines drawn too thin.
    objective=OBJECTIVES["paper"],
    # A quarter of an image of 512x512 shows several bricks, and a wall looks alike everywhere.
    input=Input(crop=(256, 256)),
    # A pass over the 50 training images has only three steps.
    sampling=Sampling(passes=10),
    optimizer=Adam(CosineDecay(1e-3)),
    epochs=100,  # 3000 steps
    batch_size=16,
)
configs = vary_objective(config)
