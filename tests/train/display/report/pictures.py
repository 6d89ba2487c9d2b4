"""Pictures and a config for reports."""

import numpy as np

from tests.train.records import label
from train.display.report.images import CostPicture, Picture


def picture(name: str, iou: float = 0.5, size: tuple[int, int] = (48, 64), channels: int = 1) -> Picture:
    classes = label(size)
    image = np.random.default_rng(0).integers(0, 255, (*size, channels)).astype(np.uint8)
    return Picture(name, image, classes, np.where(classes == 255, 2, classes).astype(np.uint8), iou)


def cost_picture(name: str, size: tuple[int, int] = (48, 64)) -> CostPicture:
    _, image, classes, *_ = picture(name, size=size)
    cost = np.random.default_rng(1).exponential(size=(40, 50))
    cost[:5] = np.nan
    return CostPicture(name, image, classes, cost, np.where(np.isnan(cost), cost, 0.0))


CONFIG = {
    "@type": "train.config:Config",
    "objective": {
        "balanced": {
            "@type": "train.config:Term",
            "loss": {"@function": "balanced_jax.losses:balanced_loss"},
            "options": {
                "eps_sup": {
                    "@type": "train.config:Ramp",
                    "start": 1.0,
                    "end": 0.7,
                    "begin": 0.0,
                    "until": 1 / 3,
                }
            },
            "weights": None,
            "weights_options": {},
        }
    },
    "input": {"@type": "train.config:Input", "size": None, "crop": [64, 64]},
    "name": "<script>alert('config')</script>",
}
