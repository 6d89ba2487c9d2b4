"""The balanced loss: truncated cross entropy times the balance mask."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import EntryWeights, PixelWeights
from balanced_jax.losses import _sigmoid
from balanced_jax.losses._softmax import check_arguments
from balanced_jax.losses.truncated import sigmoid_truncated_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks.balance import balance_mask


def balanced_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: PixelWeights | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
    beta: ScalarLike = 0.99,
    window: int = 7,
) -> Float[Array, "*batch h w"]:
    """Compute truncated cross entropy, weighted by class rarity and by the purity of the surrounding labels.

    `softmax_truncated_cross_entropy` times `balance_mask` of the labels and further `weights`. For other
    options of the mask, or a mask shared by several losses, call
    `softmax_truncated_cross_entropy(logits, labels, weights=balance_mask(labels, num_classes, ...))`.

    The defaults are the paper's, for images of 512 pixels and more. Defects thinner than the window get
    weights near 0 (see `confusion_mask`): use a window of 3 for images of 128 pixels.

    Args:
        logits, labels, weights, eps_inf, eps_sup: see `balanced_jax.losses` (result and errors, too).
        beta: strength of the class weights, in [0, 1). May be traced.
        window: side of the confusion window in pixels, odd and at least 3; a TypeError if not an integer.

    References:
        Xie et al. 2023, doi:10.3390/app13020826.

    >>> import numpy as np
    >>> labels = np.zeros((32, 32), np.uint8)
    >>> labels[12:22, 12:22] = 1
    >>> cost = balanced_loss(np.zeros((32, 32, 2), np.float32), labels)  # both classes equally probable
    >>> [round(cost[pixel].item(), 2) for pixel in [(0, 0), (12, 12), (17, 17)]]
    [0.36, 0.2, 2.28]
    """
    _, labels, _, weights = check_arguments(logits, labels, weights)
    mask = balance_mask(labels, jnp.shape(logits)[-1], beta=beta, window=window)
    return softmax_truncated_cross_entropy(
        logits, labels, weights=mask * weights, eps_inf=eps_inf, eps_sup=eps_sup
    )


def sigmoid_balanced_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    *,
    weights: PixelWeights | EntryWeights | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
    beta: ScalarLike = 0.99,
    window: int = 7,
) -> Float[Array, "*batch h w"]:
    """Compute the balanced loss for pixels that may have several classes, or none.

    Each class is a two-class image, flag 0 or 1, with its own `balance_mask`, which multiplies the entry's
    truncated cross entropy; a pixel costs the mean over its non-void entries. For other options, or a ready
    mask, call `sigmoid_truncated_cross_entropy(logits, labels, weights=mask)` with
    `mask = jnp.moveaxis(balance_mask(jnp.moveaxis(labels, -1, -3), 2, ...), -3, -1)`.

    Args:
        logits, labels, weights, eps_inf, eps_sup: see `balanced_jax.losses` (result and errors, too).
        beta, window: see `balanced_loss`.

    References:
        Xie et al. 2023, doi:10.3390/app13020826.

    >>> import numpy as np
    >>> labels = np.zeros((32, 32, 1), np.uint8)
    >>> labels[12:22, 12:22] = 1
    >>> cost = sigmoid_balanced_loss(np.zeros((32, 32, 1), np.float32), labels)  # probabilities of one half
    >>> [round(cost[pixel].item(), 2) for pixel in [(0, 0), (12, 12), (17, 17)]]
    [0.36, 0.2, 2.28]
    """
    _, labels, weights = _sigmoid.check_arguments(logits, labels, weights)
    mask = jnp.moveaxis(balance_mask(jnp.moveaxis(labels, -1, -3), 2, beta=beta, window=window), -3, -1)
    return sigmoid_truncated_cross_entropy(
        logits, labels, weights=mask * weights, eps_inf=eps_inf, eps_sup=eps_sup
    )
