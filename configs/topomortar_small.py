"""TopoMortar for two CPU cores: images resized to 256x256, a narrow U-Net, 960 steps.

    python -m train fit configs/topomortar_small.py --source DIR_WITH_TOPOMORTAR --data.labels noisy
    python -m train compare configs/topomortar_small.py:noisy --source DIR_WITH_TOPOMORTAR

The comparisons differ in the labels of the training part, and in those of the validation part, on which the best
checkpoint and the decision thresholds are chosen. The test part always has accurate labels.
"""

import dataclasses

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from configs.topomortar import config as full_size
from train.comparison.definition import Comparison
from train.config import Adam, Augmentation, CosineDecay, Input
from train.data.sets import TopoMortar

config = dataclasses.replace(
    full_size,
    model=UNet(width=12),
    input=Input(size=(256, 256), crop=(96, 96)),
    # Objectives are compared without rotation, which resamples the thin lines of the labels.
    augmentation=Augmentation(rotation=0.0),
    optimizer=Adam(CosineDecay(2e-3)),
    epochs=32,
)
configs = vary_objective(config)

COMPARED = (
    "cross_entropy_dice",
    "paper",
    "cross_entropy",
    "class_weights",
    "confusion",
    "truncation",
    "slowly_closing_relaxing_no_window",
    "weighted_cross_entropy_pixels",
    "focal_2",
    "dice",
    "lovasz",
    "class_weights_confusion",
    "truncation_class_weights",
    "truncation_confusion",
    "inverse_weighting",
    "focal_4",
    "skeleton_recall",
    "smoothed",
    "worst_neighbors",
    "generalized_cross_entropy",
    "adjusted_logits",
    # Every image shows mortar, so the ratio of images weighs both classes 1: this is cross-entropy.
    "weighted_cross_entropy",
)
DATA = {
    "noisy": TopoMortar(labels="noisy"),
    "noisy_accurate_validation": TopoMortar(labels="noisy", validation_labels="accurate"),
    "pseudo": TopoMortar(labels="pseudo"),
    "accurate": TopoMortar(labels="accurate"),
}

comparisons = {
    name: Comparison(
        dataclasses.replace(config, data=data),
        objectives={objective: OBJECTIVES[objective] for objective in COMPARED},
    )
    for name, data in DATA.items()
}
