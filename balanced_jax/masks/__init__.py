"""Masks: weights of pixels computed from labels, for the argument `weights` of any loss.

Statistics are those of one image; for images divided over devices see `balanced_jax.losses`. All masks can be
jitted, except `inverse_weight_mask` and `skeleton_mask`, which run in NumPy on the host. Masks have no
gradient.

Args:
    labels: class indices [..., H, W] in any integer type, with any number of leading axes. A label outside
        [0, num_classes), such as -1 or 255, is void: the pixel is not counted, and its weight is 0 (False).
    num_classes: number of classes, at least 1 (`confusion_mask`, `balance_mask`: 2).

Returns:
    Weights [..., H, W] of at least 0 in float32, or a boolean map of the same shape.

Raises:
    TypeError: labels are not integers.
    ValueError: labels have fewer than two axes, or an argument is outside its range.
"""

from balanced_jax.masks.balance import balance_mask
from balanced_jax.masks.boundary import boundary_mask
from balanced_jax.masks.class_weight import class_weight_mask
from balanced_jax.masks.confusion import confusion_mask
from balanced_jax.masks.fixed_class_weights import fixed_class_weights
from balanced_jax.masks.inverse_weight import inverse_weight_mask
from balanced_jax.masks.skeleton import skeleton_mask
from balanced_jax.masks.valid import valid_mask

__all__ = [
    "balance_mask",
    "boundary_mask",
    "class_weight_mask",
    "confusion_mask",
    "fixed_class_weights",
    "inverse_weight_mask",
    "skeleton_mask",
    "valid_mask",
]
