"""Losses for segmentation, each a map of what every pixel costs.

Logits have the shape [..., H, W, C] and labels [..., H, W], with any number of leading axes; a map has the
shape of the labels. The loss of an image is the mean of its map over its non-void pixels, that of a batch
the mean over its images: `masked_mean(map, valid_mask(labels, num_classes))`. All losses take the `weights`
of `balanced_jax.masks`, and maps may be added.
"""

from balanced_jax.losses.balanced import balanced_loss
from balanced_jax.losses.cross_entropy import softmax_cross_entropy
from balanced_jax.losses.focal import softmax_focal_loss
from balanced_jax.losses.reduce import masked_mean
from balanced_jax.losses.region import dice_loss
from balanced_jax.losses.truncated import softmax_truncated_cross_entropy, truncated_cross_entropy

__all__ = [
    "balanced_loss",
    "dice_loss",
    "masked_mean",
    "softmax_cross_entropy",
    "softmax_focal_loss",
    "softmax_truncated_cross_entropy",
    "truncated_cross_entropy",
]
