"""What each pixel counts, made from labels: pass a mask to any loss as `weights`.

Labels have the shape [..., H, W], with any number of leading axes; statistics are those of one image. A
label outside [0, num_classes) is void: it is counted nowhere, and its weight is 0. All but
`inverse_weight_mask`, which is NumPy on the host, run inside `jax.jit` as well.
"""

from balanced_jax.masks.balance import balance_mask
from balanced_jax.masks.boundary import boundary_mask
from balanced_jax.masks.class_weight import class_weight_mask
from balanced_jax.masks.confusion import confusion_mask
from balanced_jax.masks.inverse_weight import inverse_weight_mask
from balanced_jax.masks.valid import valid_mask

__all__ = [
    "balance_mask",
    "boundary_mask",
    "class_weight_mask",
    "confusion_mask",
    "inverse_weight_mask",
    "valid_mask",
]
