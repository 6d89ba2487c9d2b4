"""Your own images and masks, without writing Python.

    python -m train fit configs/folder.py --data.images DIR --data.masks DIR

Masks hold class ids, or are black and white (`--data.threshold 127`), or coloured (`--data.colors 000000 ff0000`);
`--data.classes background scratch dent` names the classes. `--help` shows everything else.
"""

from balanced_jax.models import UNet
from configs.objectives import compared
from configs.quickstart import config as quickstart
from train.config import Adam, Config, CosineDecay, Input
from train.data.sets import Folder

config = Config(
    data=Folder(),
    # A quarter of the published width is enough for most surfaces, and trains on a CPU.
    model=UNet(width=16),
    objective=quickstart.objective,
    input=Input(crop=(128, 128)),
    optimizer=Adam(CosineDecay(1e-3)),
    epochs=50,
)
configs = compared(config)
