"""Shares of the loss and of its gradient by error, branch, class and boundary.

A loss is a map, so the functions here serve pixel losses, region losses and their sums alike. The non-void
pixels of an image are grouped in four ways: by error, by branch of the truncated cross entropy, by class, and
by whether a pixel touches another class. Other groups are boolean arrays [..., H, W, groups]. Stack the
sums of images and batches along the leading axis (`np.concatenate`), or add them: `pixels` on the host and in
int64, because int32 overflows at 2**31 pixels (8192 images of 512x512). Shares may not be added.

Args:
    logits, labels: see `balanced_jax.losses` (errors, too); a void pixel is in no group.
    loss: function of logits and labels that returns a map, such as `balanced_loss`, or
        `functools.partial(dice_loss, weights=mask)`; ValueError for one that does not.
    eps_inf: below this error, one minus the label's probability, a pixel is easy; in [0, 1). May be traced.
    eps_sup: above this error a pixel is hard; in (0, 1] and above `eps_inf`. May be traced.
    sums: of any number of images, on leading axes.

Raises:
    TypeError, ValueError: as the losses do, also for the thresholds.
    ValueError: numbers of pixels below 0, as int32 makes of large sums.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Float64, Integer, ScalarLike

from balanced_jax._arguments import as_class_indices, as_float, check_counts
from balanced_jax._labels import one_hot
from balanced_jax.losses._region import count_pixels
from balanced_jax.losses._softmax import check_arguments, log_odds_of_error
from balanced_jax.losses.truncated import log_odds_thresholds
from balanced_jax.masks import boundary_mask, valid_mask

ERROR_BINS = 20
"""Number of equally wide bins of the error in `Diagnostics.by_error`."""


class GroupSums(NamedTuple):
    """Sums over each group of pixels of each image."""

    pixels: Integer[Array | np.ndarray, "*images groups"]
    loss: Float[Array | np.ndarray, "*images groups"]
    """The group's part of the loss of its image."""
    gradient: Float[Array | np.ndarray, "*images groups"]
    """The group's part of the L1 norm of the gradient of that loss at the logits."""


class Diagnostics(NamedTuple):
    """Sums for four groupings of the pixels."""

    by_error: GroupSums
    """Groups: `ERROR_BINS` equally wide bins of the error from 0 to 1."""
    by_branch: GroupSums
    """Groups: easy, critical, hard."""
    by_class: GroupSums
    """Groups: the classes."""
    by_boundary: GroupSums
    """Groups: pixels that touch another class, all other pixels."""


class Shares(NamedTuple):
    """Each group's share, in [0, 1]; shares of one kind sum to 1, or are NaN where their total is 0."""

    pixels: Float64[np.ndarray, "groups"]
    loss: Float64[np.ndarray, "groups"]
    gradient: Float64[np.ndarray, "groups"]


def diagnose(
    loss: Callable[[Array, Array], Array],
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Diagnostics:
    """Sum the loss and its gradient over groups of pixels by error, branch, class and boundary.

    A sigmoid loss is diagnosed one class at a time, as on an image of two classes: with the `score` and
    `label` maps of the class, `diagnose(lambda z, y: loss(z[..., 1:] - z[..., :1], y[..., None]),
    jnp.stack([jnp.zeros_like(score), score], axis=-1), label)`.

    Args:
        loss, logits, labels, eps_inf, eps_sup: see `balanced_jax.diagnostics` (errors, too).

    Returns:
        Sums of each image. Stack those of several images, then pass them to `shares`.

    References:
        Xie et al. 2023, doi:10.3390/app13020826; figs. 1, 2 and 4 show such sums for cross entropy and one
        network.

    >>> import numpy as np
    >>> from balanced_jax.losses import softmax_cross_entropy
    >>> labels = np.zeros((10, 10), np.uint8)
    >>> labels[4:6, 4:6] = 1
    >>> logits = np.zeros((10, 10, 2), np.float32) + np.array([3.0, 0.0], np.float32)  # all background
    >>> sums = diagnose(softmax_cross_entropy, logits, labels)
    >>> shares(sums.by_class).loss.round(2), shares(sums.by_boundary).loss.round(2)
    (array([0.28, 0.72]), array([0.75, 0.25]))
    >>> shares(sums.by_error).loss.cumsum().round(2)[[0, 18, 19]]  # errors below .05, .95 and 1
    array([0.28, 0.28, 1.  ])
    """
    num_classes = jnp.shape(logits)[-1]
    cost, gradient_norm = loss_and_gradient(loss, logits, labels)

    def sum_groups(groups: Array) -> GroupSums:
        pixels = jnp.sum(groups, axis=(-3, -2), dtype=jnp.int32)
        return GroupSums(pixels, group_sums(cost, groups), group_sums(gradient_norm, groups))

    return Diagnostics(
        by_error=sum_groups(error_bins(logits, labels)),
        by_branch=sum_groups(branches(logits, labels, eps_inf=eps_inf, eps_sup=eps_sup)),
        by_class=sum_groups(one_hot(as_class_indices("labels", labels, num_classes), num_classes)),
        by_boundary=sum_groups(boundary_and_inside(labels, num_classes)),
    )


def loss_and_gradient(
    loss: Callable[[Array, Array], Array],
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """Compute each pixel's part of the loss of its image, and the gradient norm of that loss at the pixel.

    Args:
        loss, logits, labels: see `balanced_jax.diagnostics` (errors, too).

    Returns:
        Two maps, float32, or float64 for float64 logits, 0 at void pixels. The first is the map of the loss
        over the number n of non-void pixels of the image, whose sum is the loss of the image. The second is
        the L1 norm, over classes, of the gradient of that sum at the pixel's logits: |g| / n for a pixel loss
        of gradient g; in a region loss, the gradient includes the effect of the pixel on the map elsewhere.

    >>> import numpy as np
    >>> from balanced_jax.losses import softmax_cross_entropy
    >>> labels = np.array([[0, 1, 255, 255]], np.uint8)  # 255 is void
    >>> cost, norm = loss_and_gradient(softmax_cross_entropy, np.zeros((1, 4, 2), np.float32), labels)
    >>> print(np.asarray(cost).round(2), np.asarray(norm))
    [[0.35 0.35 0.   0.  ]] [[0.5 0.5 0.  0. ]]
    """
    logits, labels, valid, _ = check_arguments(logits, labels, None)
    pixels = jnp.maximum(count_pixels(valid, logits.dtype), 1)

    def total(logits: Array) -> tuple[Array, Array]:
        cost = loss(logits, labels)
        if jnp.shape(cost) != labels.shape:
            raise ValueError(f"loss must return a map of shape {labels.shape}, got {jnp.shape(cost)}")
        mean_terms = jnp.where(valid, cost, 0) / pixels
        return jnp.sum(mean_terms), mean_terms

    gradient, mean_terms = jax.grad(total, has_aux=True)(logits)
    return mean_terms, jnp.where(valid, jnp.sum(jnp.abs(gradient), axis=-1), 0)


def error_bins(
    logits: Float[ArrayLike, "*batch h w classes"], labels: Integer[ArrayLike, "*batch h w"]
) -> Bool[Array, "*batch h w bins"]:
    """Group pixels by error into `ERROR_BINS` equally wide bins.

    Args:
        logits, labels: see `balanced_jax.diagnostics` (errors, too).

    Returns:
        Groups on the last axis, from error 0 to error 1. An edge between two bins belongs to the upper bin.

    >>> import numpy as np
    >>> confident, uncertain = [30.0, 0.0], [0.0, 0.0]
    >>> logits = np.array([[confident, uncertain, confident]], np.float32)
    >>> error_bins(logits, np.array([[0, 0, 1]])).argmax(-1).tolist()
    [[0, 10, 19]]
    """
    logits, labels, valid, _ = check_arguments(logits, labels, None)
    error = jax.nn.sigmoid(log_odds_of_error(logits, labels))
    index = jnp.minimum((error * ERROR_BINS).astype(jnp.int32), ERROR_BINS - 1)
    return one_hot(index, ERROR_BINS) & valid[..., None]


def branches(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Bool[Array, "*batch h w 3"]:
    """Group pixels by branch of the truncated cross entropy.

    Branches are chosen by the log odds of the error, as in `softmax_truncated_cross_entropy`. Errors equal to
    a threshold are critical; an `eps_inf` of 0 makes no pixel easy, an `eps_sup` of 1 no pixel hard.

    Args:
        logits, labels, eps_inf, eps_sup: see `balanced_jax.diagnostics` (errors, too).

    Returns:
        Groups on the last axis: easy, critical, hard.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 5 to 7.

    >>> import numpy as np
    >>> logits = np.array([[[2.0, 0.0], [0.0, 0.0], [2.0, 0.0], [0.0, 0.0]]], np.float32)
    >>> branches(logits, np.array([[0, 1, 1, 255]])).astype(int).tolist()
    [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]]
    """
    logits, labels, valid, _ = check_arguments(logits, labels, None)
    thresholds = log_odds_thresholds(eps_inf, eps_sup, logits.dtype)
    log_odds = log_odds_of_error(logits, labels)
    easy, hard = log_odds < thresholds.inf, log_odds > thresholds.sup
    return jnp.stack([easy, ~easy & ~hard, hard], axis=-1) & valid[..., None]


def boundary_and_inside(
    labels: Integer[ArrayLike, "*batch h w"], num_classes: int
) -> Bool[Array, "*batch h w 2"]:
    """Group pixels by whether they touch another class (`balanced_jax.masks.boundary_mask`).

    Args:
        labels, num_classes: see `balanced_jax.masks` (errors, too).

    Returns:
        Groups on the last axis: boundary, inside.

    >>> import numpy as np
    >>> boundary_and_inside(np.array([[0, 0, 1, 255]]), 2).astype(int).tolist()
    [[[0, 1], [1, 0], [1, 0], [0, 0]]]
    """
    boundary = boundary_mask(labels, num_classes)
    return jnp.stack([boundary, valid_mask(labels, num_classes) & ~boundary], axis=-1)


def group_sums(
    values: Float[ArrayLike, "*batch h w"], groups: Bool[ArrayLike, "*batch h w groups"]
) -> Float[Array, "*batch groups"]:
    """Sum a map over each group of pixels of each image.

    Args:
        values: a map, such as a loss or a mask; may be NaN at pixels in no group.
        groups: whether each pixel is in each group.

    Returns:
        Sums, float32, or float64 for float64 values.

    Raises:
        TypeError: values are not floating point, or groups not boolean.
        ValueError: groups lack the shape of values and one more axis.

    >>> import numpy as np
    >>> values = np.array([[1.0, 2.0, np.nan]], np.float32)
    >>> group_sums(values, np.array([[[True, False], [True, True], [False, False]]])).tolist()
    [3.0, 2.0]
    """
    values, groups = as_float("values", values), jnp.asarray(groups)
    if groups.dtype != bool:
        raise TypeError(f"groups must be boolean, got {groups.dtype}")
    if groups.ndim < 3 or groups.shape[:-1] != values.shape:
        raise ValueError(
            f"groups must have shape [..., H, W, groups], values one axis less, got {groups.shape} and "
            f"{values.shape}"
        )
    return jnp.sum(jnp.where(groups, values[..., None], 0), axis=(-3, -2))


def shares(sums: GroupSums) -> Shares:
    """Compute each group's share of the pixels, the loss and the gradient of all images together.

    Every image counts once in loss and gradient, as in the mean loss of a batch, however many void pixels it
    has.

    Args:
        sums: see `balanced_jax.diagnostics` (errors, too).

    Returns:
        Shares, computed on the host; 0 for a group without a pixel, NaN where the total is 0 or not finite.

    >>> import numpy as np
    >>> two = GroupSums(np.array([[3, 1], [4, 0]]), np.array([[0.1, 0.3], [0.4, 0.0]]), np.zeros((2, 2)))
    >>> [share.round(3).tolist() for share in shares(two)]
    [[0.875, 0.125], [0.625, 0.375], [nan, nan]]
    """

    check_counts(pixels=sums.pixels)

    def share(sums: Array | np.ndarray) -> np.ndarray:
        totals = _sum_over_images(sums)
        total = totals.sum()
        return totals / total if 0 < total < np.inf else np.full_like(totals, np.nan)

    return Shares(*map(share, sums))


def densities(sums: GroupSums) -> tuple[Float64[np.ndarray, "groups"], Float64[np.ndarray, "groups"]]:
    """Compute loss and gradient per pixel of each group, relative to the mean pixel.

    The ratio of two densities compares single pixels, such as a boundary pixel with one inside.

    Args:
        sums: see `balanced_jax.diagnostics` (errors, too).

    Returns:
        Densities of the loss and of the gradient, computed on the host; NaN for a group without a pixel.

    >>> import numpy as np
    >>> loss, gradient = densities(GroupSums(np.array([10, 30]), np.array([0.5, 0.5]), np.array([0.0, 0.6])))
    >>> loss.round(2), gradient.round(2)
    (array([2.  , 0.67]), array([0.  , 1.33]))
    """
    pixels, loss, gradient = shares(sums)
    size = np.where(pixels > 0, pixels, np.nan)
    return loss / size, gradient / size


def means(
    sums: Float[ArrayLike, "*images groups"], pixels: Integer[ArrayLike, "*images groups"]
) -> Float64[np.ndarray, "groups"]:
    """Compute the mean of a map over the pixels of each group, all images together.

    Args:
        sums: of a map, such as a mask, by `group_sums`; of any number of images, on leading axes.
        pixels: number of pixels of the same images and groups, as in `GroupSums.pixels` (errors, too).

    Returns:
        Means, computed on the host; NaN for a group without a pixel.

    >>> import numpy as np
    >>> means(np.array([[6.0, 0.0], [2.0, 0.0]]), np.array([[3, 0], [1, 0]])).tolist()
    [2.0, nan]
    """
    check_counts(pixels=pixels)
    sums, pixels = _sum_over_images(sums), _sum_over_images(pixels)
    return np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan)


def _sum_over_images(sums: ArrayLike) -> Float64[np.ndarray, "groups"]:
    return np.asarray(sums, np.float64).reshape(-1, np.shape(sums)[-1]).sum(axis=0)
