"""The paper's loss."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax.losses import _sigmoid
from balanced_jax.losses.truncated import sigmoid_truncated_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks.balance import balance_mask


def balanced_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
    beta: ScalarLike = 0.99,
    window: int = 7,
) -> Float[Array, "*batch h w"]:
    """Truncated cross entropy, weighed by rarity of class and purity of surroundings.

    `softmax_truncated_cross_entropy` times `balance_mask` of the labels, whose other options keep their
    defaults. With other options, or a mask made once for several losses, pass the mask on:
    `softmax_truncated_cross_entropy(logits, labels, weights=balance_mask(labels, num_classes, ...))`.

    The defaults are the paper's, made for images of 512 pixels and more. Where defects are thinner than
    the window they are muted (see `confusion_mask`): take 3 for images of 128 pixels.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: its value and gradient are 0.
        weights: what each pixel counts on top of the mask. Ignored at void pixels.
        eps_inf: up to this error a pixel is easy, in [0, 1). May be traced.
        eps_sup: from this error on a pixel is hard, in (0, 1] and above `eps_inf`. May be traced.
        beta: strength of the class weights, in [0, 1). May be traced.
        window: side of the confusion window in pixels, odd and at least 3.

    Returns:
        Cost of each pixel, at least 0, never reduced; float32, or float64 for float64 logits.

    Raises:
        TypeError: logits are not floating point, labels not integers, or window not an integer.
        ValueError: shapes that do not match, fewer than two classes, a number out of its range, or
            eps_inf not below eps_sup.

    Numbers are constants to differentiation. Forward mode raises a TypeError, as it does for
    `softmax_truncated_cross_entropy`.

    References:
        Xie et al. 2023, doi:10.3390/app13020826.

    >>> import numpy as np
    >>> labels = np.zeros((32, 32), np.uint8)
    >>> labels[12:22, 12:22] = 1
    >>> cost = balanced_loss(np.zeros((32, 32, 2), np.float32), labels)  # the network knows nothing
    >>> [round(cost[place].item(), 2) for place in [(0, 0), (12, 12), (17, 17)]]
    [0.36, 0.2, 2.28]
    """
    cost = softmax_truncated_cross_entropy(logits, labels, weights=weights, eps_inf=eps_inf, eps_sup=eps_sup)
    return cost * balance_mask(labels, jnp.shape(logits)[-1], beta=beta, window=window)


def sigmoid_balanced_loss(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w classes"],
    *,
    weights: Float[ArrayLike, "*batch h w"] | Float[ArrayLike, "*batch h w classes"] | None = None,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
    beta: ScalarLike = 0.99,
    window: int = 7,
) -> Float[Array, "*batch h w"]:
    """The balanced loss where a pixel may have several classes, or none.

    Each class is an image of two classes, has it and has it not, with a `balance_mask` of its own, which
    multiplies the entry's truncated cross entropy; a pixel costs the mean over its entries that are not
    void. With other options, or a ready mask, pass it on: `sigmoid_truncated_cross_entropy(logits, labels,
    weights=mask)`, where `mask = jnp.moveaxis(balance_mask(jnp.moveaxis(labels, -1, -3), 2, ...), -3, -1)`.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: 1 where the pixel has the class, 0 where it has not; any other number is void: the value
            and the gradient of the entry are 0.
        weights: what each pixel counts, or, with an axis of classes, each entry, on top of the mask.
            Ignored at void entries.
        eps_inf: up to this error an entry is easy, in [0, 1). May be traced.
        eps_sup: from this error on an entry is hard, in (0, 1] and above `eps_inf`. May be traced.
        beta: strength of the class weights, in [0, 1). May be traced.
        window: side of the confusion window in pixels, odd and at least 3.

    Returns:
        Cost of each pixel, at least 0, 0 where all entries are void; float32, or float64 for float64
        logits. Its mean is `masked_mean(cost, valid_mask(labels, 2).any(-1))`.

    Raises:
        TypeError: logits are not floating point, labels not integers, or window not an integer.
        ValueError: shapes that do not match, no class, a number out of its range, or eps_inf not below
            eps_sup.

    Numbers are constants to differentiation. Forward mode raises a TypeError, as it does for
    `sigmoid_truncated_cross_entropy`.

    References:
        Xie et al. 2023, doi:10.3390/app13020826.

    >>> import numpy as np
    >>> labels = np.zeros((32, 32, 1), np.uint8)
    >>> labels[12:22, 12:22] = 1
    >>> cost = sigmoid_balanced_loss(np.zeros((32, 32, 1), np.float32), labels)  # the network knows nothing
    >>> [round(cost[place].item(), 2) for place in [(0, 0), (12, 12), (17, 17)]]
    [0.36, 0.2, 2.28]
    """
    _, labels, weights = _sigmoid.checked(logits, labels, weights)
    mask = jnp.moveaxis(balance_mask(jnp.moveaxis(labels, -1, -3), 2, beta=beta, window=window), -3, -1)
    return sigmoid_truncated_cross_entropy(
        logits, labels, weights=mask * weights, eps_inf=eps_inf, eps_sup=eps_sup
    )
