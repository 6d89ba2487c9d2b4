"""Your own images and label images, without writing Python.

    python -m train fit configs/folder.py --data.images DIR --data.masks DIR
    python -m train compare configs/folder.py --data.images DIR --data.masks DIR

Label images hold class ids, or are black and white (`--data.threshold 127`), or show each class in a color
(`--data.colors 000000 ff0000`). `--data.classes background scratch dent` names the classes. `--help` lists
all options. `compare` answers which loss is best on your images: cross-entropy with Dice, the default, or the
paper's, two seeds each.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.comparison.definition import Comparison
from train.config import Adam, Config, CosineDecay, Input
from train.data.sets import Folder

config = Config(
    data=Folder(),
    # A quarter of the published width is enough for most surfaces, and can be trained on a CPU.
    model=UNet(width=16),
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
    input=Input(crop=(128, 128)),
    optimizer=Adam(CosineDecay(1e-3)),
    epochs=50,
)
configs = vary_objective(config)

comparison = Comparison(
    config,
    objectives={
        "cross_entropy_dice": OBJECTIVES["cross_entropy_dice"],
        "default": config.objective,
        "paper": OBJECTIVES["paper"],
    },
    seeds=(0, 1),
)
