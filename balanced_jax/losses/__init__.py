"""Segmentation losses: functions of logits and labels that return a map of each pixel's cost.

The loss of an image is the mean of its map over its non-void pixels, the loss of a batch the mean over its
images: `masked_mean(cost, valid_mask(labels, num_classes))`. Maps may be added. Any number of leading axes,
none included, are batch axes; sums and statistics are those of one image.

Args:
    logits: unnormalized scores [..., H, W, C], in any floating-point type; finite, or -inf for a class that
        is ruled out at the pixel; anything, NaN included, where the pixel (or entry) is void. A pixel with no
        other class than its label costs 0. A label that is ruled out has an infinite cost under cross
        entropy, also with probabilities, and focal loss, and under every truncated or balanced loss with an
        `eps_sup` of 1: make the pixel void, or its weight 0.
    labels: class indices [..., H, W] in any integer type. Outside [0, C) a pixel is void: its cost and
        gradient are 0. Sigmoid losses, whose classes do not exclude each other, take flags [..., H, W, C]: 1
        where the pixel has the class, 0 where it does not, any other number where the entry is void.
    weights: factor of each pixel [..., H, W], such as a mask of `balanced_jax.masks`, in any floating-point,
        integer or boolean type; ignored at void pixels. Multiplies the map of a pixel loss; 0 makes any cost
        0. Region losses take weights of at least 0 into their sums as well: multiplying a region map
        afterwards would weight the numerator alone. Sigmoid losses also take a factor of each entry
        [..., H, W, C], and multiply before the mean over the non-void entries.
    eps_inf: below this error, one minus the label's probability, a pixel (or entry) is easy; in [0, 1).
    eps_sup: above this error a pixel (or entry) is hard; in (0, 1] and above `eps_inf`.
    classes: classes that a region loss averages in an image: "present" for those that label a pixel of
        weight above 0, "all" for every class.
    smoothing: under "all", a class without labeled pixels costs f / (f + smoothing), where f is its mean
        probability; above 0. Present classes are not smoothed.

Returns:
    Cost of each pixel [..., H, W], at least 0, float32, or float64 for float64 logits. Pixel losses are in
    nats. Sigmoid losses average over the non-void entries of a pixel, and the mean of their map is
    `masked_mean(cost, valid_mask(labels, 2).any(-1))`. The map of a region loss has the loss of the image as
    its mean over the non-void pixels; an image without a pixel of weight above 0 costs 0.

Raises:
    TypeError: logits are not floating point, or labels not integers.
    ValueError: shapes do not match, there are fewer than two classes (sigmoid losses: one), or an argument
        is outside its range.

Under `jax.jit`, inputs may be divided over devices along any axis but that of the classes: sums are those of
whole images. Under `jax.shard_map` sums are those of the shard, in which a part of an image counts as an
image, so divide only leading axes there. Both hold for masks, metrics and diagnostics, too.

Hyperparameters that are floats may be traced, and have zero gradient. All losses support reverse and forward
mode, also repeatedly (`jax.grad`, `jax.jvp`, `jax.hessian`), except `truncated_cross_entropy`, whose
`jax.custom_vjp` raises a TypeError in forward mode: compute its Hessian by `jax.jacrev(jax.grad(f))`.
"""

from balanced_jax.losses.all_entries import all_entries_truncated_cross_entropy
from balanced_jax.losses.balanced import balanced_loss, sigmoid_balanced_loss
from balanced_jax.losses.cross_entropy import softmax_cross_entropy
from balanced_jax.losses.focal import sigmoid_focal_loss, softmax_focal_loss
from balanced_jax.losses.generalized_cross_entropy import generalized_cross_entropy
from balanced_jax.losses.lovasz import lovasz_softmax_loss
from balanced_jax.losses.probabilities import (
    dice_loss_with_probabilities,
    iou_loss_with_probabilities,
    softmax_cross_entropy_with_probabilities,
)
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
    "dice_loss_with_probabilities",
    "focal_tversky_loss",
    "generalized_cross_entropy",
    "generalized_dice_loss",
    "iou_loss",
    "iou_loss_with_probabilities",
    "lovasz_softmax_loss",
    "masked_mean",
    "sigmoid_balanced_loss",
    "sigmoid_focal_loss",
    "sigmoid_truncated_cross_entropy",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_probabilities",
    "softmax_focal_loss",
    "softmax_truncated_cross_entropy",
    "truncated_cross_entropy",
    "tversky_loss",
]
