"""Configs small enough for tests."""

import dataclasses
from pathlib import Path

from balanced_jax.losses import balanced_loss, dice_loss, softmax_cross_entropy
from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from train.comparison.definition import Comparison
from train.config import Adam, Config, CosineDecay, Input, Ramp, Term
from train.data.sets import Generated

TINY = Path(__file__)
"""This file, as commands take it."""

DATA = Generated(train=16, validation=4, test=8, size=32)

config = Config(
    data=DATA,
    model=UNet(width=4, depth=1),
    objective={
        "balanced": Term(
            balanced_loss,
            options={"beta": 0.9, "window": 3, "eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)},
        ),
        "dice": Term(dice_loss, scale=0.5),
    },
    input=Input(crop=(24, 24)),
    optimizer=Adam(CosineDecay(1e-2)),
    epochs=3,
    batch_size=8,
)

NETWORKS = {
    "fcn8s": FCN8s(width=2),
    "segnet": SegNet(width=2),
    "deeplabv3": DeepLabV3(width=4, blocks=(1, 1, 1, 1)),
    "pspnet": PSPNet(width=4, blocks=(1, 1, 1, 1)),
}
configs = {name: dataclasses.replace(config, model=model) for name, model in NETWORKS.items()}

comparison = Comparison(
    dataclasses.replace(config, epochs=1),
    objectives={"cross_entropy": {"cross_entropy": Term(softmax_cross_entropy)}, "both": config.objective},
    seeds=(0, 1),
)
