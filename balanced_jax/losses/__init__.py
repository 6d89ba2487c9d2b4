"""Losses for segmentation, each a map of what every pixel costs.

Logits have the shape [..., H, W, C], labels and maps [..., H, W], with any number of leading axes; the labels
of sigmoid losses, whose classes do not exclude each other, have the shape of the logits. The loss of an image
is the mean of its map over its non-void pixels, that of a batch the mean over its images:
`masked_mean(map, valid_mask(labels, num_classes))`. All losses take the `weights` of `balanced_jax.masks`,
and maps may be added.
"""

from balanced_jax.losses.all_entries import all_entries_truncated_cross_entropy
from balanced_jax.losses.balanced import balanced_loss, sigmoid_balanced_loss
from balanced_jax.losses.cross_entropy import softmax_cross_entropy
from balanced_jax.losses.focal import sigmoid_focal_loss, softmax_focal_loss
from balanced_jax.losses.lovasz import lovasz_softmax_loss
from balanced_jax.losses.reduce import masked_mean
from balanced_jax.losses.region import (
    dice_loss,
    focal_tversky_loss,
    generalized_dice_loss,
    iou_loss,
    tversky_loss,
)
from balanced_jax.losses.truncated import (
    sigmoid_truncated_cross_entropy,
    softmax_truncated_cross_entropy,
    truncated_cross_entropy,
)

__all__ = [
    "all_entries_truncated_cross_entropy",
    "balanced_loss",
    "dice_loss",
    "focal_tversky_loss",
    "generalized_dice_loss",
    "iou_loss",
    "lovasz_softmax_loss",
    "masked_mean",
    "sigmoid_balanced_loss",
    "sigmoid_focal_loss",
    "sigmoid_truncated_cross_entropy",
    "softmax_cross_entropy",
    "softmax_focal_loss",
    "softmax_truncated_cross_entropy",
    "truncated_cross_entropy",
    "tversky_loss",
]
