"""Your own images and masks, without writing Python.

    python -m train fit configs/folder.py --data.images DIR --data.masks DIR

Masks hold class ids, or are black and white (`--data.threshold 127`), or coloured (`--data.colors 000000 ff0000`);
`--data.classes background scratch dent` names the classes. `--help` shows everything else.
"""

from balanced_jax.losses import softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask
from balanced_jax.models import UNet
from train.config import Adam, Config, CosineDecay, Input, Ramp, Term
from train.data.folder import Folder

config = Config(
    data=Folder(),
    # A quarter of the published width is enough for most surfaces, and trains on a CPU.
    model=UNet(width=16),
    objective={
        "balanced": Term(
            softmax_truncated_cross_entropy,
            options={"eps_inf": Ramp(0.0, 0.3, until=0.3), "eps_sup": Ramp(1.0, 0.7, until=0.3)},
            weights=balance_mask,
            weights_options={"beta": 0.99, "window": 3, "power": Ramp(1.0, 0.0)},
        )
    },
    input=Input(crop=(128, 128)),
    optimizer=Adam(CosineDecay(1e-3)),
    epochs=50,
)
