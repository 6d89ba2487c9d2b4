"""Who holds the loss: groups of pixels, what they hold of it and of its gradient. Sums first, shares after.

Every loss is a map, so the same few functions serve all that take one label a pixel, region losses and sums
of losses included. Four divisions of an image's pixels are made: by their error, by the branch of the
truncated loss that it lies in, by class, and by whether they touch another class; any other is a boolean
array with an axis of groups. A void pixel is in no group. What groups hold adds up over images, batches and
devices; shares never do.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Float64, Integer, ScalarLike

from balanced_jax._arguments import as_classes, as_float
from balanced_jax._labels import one_hot
from balanced_jax.losses._softmax import checked, log_odds_of_error
from balanced_jax.losses.truncated import joints_at
from balanced_jax.masks import boundary_mask, valid_mask

ERROR_BINS = 20
"""How many ranges of the error `Diagnostics.by_error` tells apart."""


class Holdings(NamedTuple):
    """What each group of pixels holds, image by image."""

    pixels: Integer[Array | np.ndarray, "*images groups"]
    loss: Float[Array | np.ndarray, "*images groups"]
    """The group's part of its image's mean loss."""
    gradient: Float[Array | np.ndarray, "*images groups"]
    """The group's part of the L1 norm of that mean's gradient at the logits."""


class Diagnostics(NamedTuple):
    """Who holds the loss, under four divisions of the same pixels."""

    by_error: Holdings
    """Groups: `ERROR_BINS` ranges of the error from 0 to 1, equally wide: a histogram."""
    by_branch: Holdings
    """Groups: easy, critical, hard."""
    by_class: Holdings
    """Groups: the classes."""
    by_boundary: Holdings
    """Groups: the pixels that touch another class, the others."""


class Shares(NamedTuple):
    """Each group's share, in [0, 1]; shares of one kind sum to 1, or are all NaN where there is nothing."""

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
    """Divide the loss and its gradient among pixels by error, branch, class, and boundary.

    Args:
        loss: a function of logits and labels that returns a map, such as `balanced_loss`, or
            `functools.partial(dice_loss, weights=mask)`.
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void and in no group.
        eps_inf: below this error a pixel is easy, in [0, 1). May be traced.
        eps_sup: above this error a pixel is hard, in (0, 1] and above `eps_inf`. May be traced.

    Returns:
        Sums for each image: those of many are stacked or added, then handed to `shares`.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, a loss that returns no map, a
            threshold out of its range, or eps_inf not below eps_sup.

    A loss of several labels a pixel is asked about one class at a time, as of an image of two classes: with
    `score` and `label` maps of the class, `diagnose(lambda z, y: loss(z[..., 1:] - z[..., :1], y[..., None]),
    jnp.stack([jnp.zeros_like(score), score], axis=-1), label)`.

    References:
        Xie et al. 2023, doi:10.3390/app13020826: what its figs. 1, 2 and 4 ask of cross entropy and one
        network, for any loss and any network.

    >>> import numpy as np
    >>> from balanced_jax.losses import softmax_cross_entropy
    >>> labels = np.zeros((10, 10), np.uint8)
    >>> labels[4:6, 4:6] = 1
    >>> logits = np.zeros((10, 10, 2), np.float32) + np.array([3.0, 0.0], np.float32)  # all background
    >>> found = diagnose(softmax_cross_entropy, logits, labels)
    >>> shares(found.by_class).loss.round(2), shares(found.by_boundary).loss.round(2)
    (array([0.28, 0.72]), array([0.75, 0.25]))
    >>> shares(found.by_error).loss.cumsum().round(2)[[0, 18, 19]]  # errors below .05, .95 and 1
    array([0.28, 0.28, 1.  ])
    """
    num_classes = jnp.shape(logits)[-1]
    cost, pull = loss_and_gradient(loss, logits, labels)

    def held(groups: Array) -> Holdings:
        pixels = jnp.sum(groups, axis=(-3, -2), dtype=jnp.int32)
        return Holdings(pixels, group_sums(cost, groups), group_sums(pull, groups))

    return Diagnostics(
        by_error=held(error_ranges(logits, labels)),
        by_branch=held(branches(logits, labels, eps_inf=eps_inf, eps_sup=eps_sup)),
        by_class=held(one_hot(as_classes("labels", labels, num_classes), num_classes)),
        by_boundary=held(boundary_and_inside(labels, num_classes)),
    )


def loss_and_gradient(
    loss: Callable[[Array, Array], Array],
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """What each pixel adds to the mean loss of its image, and how hard that mean pulls at the pixel.

    The first map is the loss's own over the number n of the image's non-void pixels, so that it sums to
    the loss of the image. The second is the L1 norm, over classes, of the gradient of that sum at the
    pixel's logits. For a loss whose map has the gradient g at its own pixel that is |g| / n; in a region
    loss each pixel moves the map everywhere, and all of that is in.

    Args:
        loss: a function of logits and labels that returns a map.
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void: both its values are 0.

    Returns:
        Two maps of at least 0 (the first as far as the loss is); float32, or float64 for float64 logits.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, or a loss that returns no map.

    >>> import numpy as np
    >>> from balanced_jax.losses import softmax_cross_entropy
    >>> labels = np.array([[0, 1, 255, 255]], np.uint8)  # 255 is void
    >>> cost, pull = loss_and_gradient(softmax_cross_entropy, np.zeros((1, 4, 2), np.float32), labels)
    >>> print(np.asarray(cost).round(2), np.asarray(pull))
    [[0.35 0.35 0.   0.  ]] [[0.5 0.5 0.  0. ]]
    """
    logits, labels, valid, _ = checked(logits, labels, None)
    pixels = jnp.maximum(jnp.sum(valid, axis=(-2, -1), keepdims=True, dtype=jnp.int32), 1)

    def total(logits: Array) -> tuple[Array, Array]:
        cost = loss(logits, labels)
        if jnp.shape(cost) != labels.shape:
            raise ValueError(f"loss must return a map of shape {labels.shape}, got {jnp.shape(cost)}")
        share = jnp.where(valid, cost, 0) / pixels
        return jnp.sum(share), share

    gradient, share = jax.grad(total, has_aux=True)(logits)
    return share, jnp.where(valid, jnp.sum(jnp.abs(gradient), axis=-1), 0)


def error_ranges(
    logits: Float[ArrayLike, "*batch h w classes"], labels: Integer[ArrayLike, "*batch h w"]
) -> Bool[Array, "*batch h w ranges"]:
    """Which of `ERROR_BINS` equally wide ranges the error of each pixel lies in.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void and in no range.

    Returns:
        The ranges on the last axis, from error 0 to error 1, one minus the label's probability. Where two
        ranges meet a pixel belongs to the upper one.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, or fewer than two classes.

    >>> import numpy as np
    >>> certain, torn = [30.0, 0.0], [0.0, 0.0]
    >>> found = error_ranges(np.array([[certain, torn, certain]], np.float32), np.array([[0, 0, 1]]))
    >>> found.argmax(-1).tolist()
    [[0, 10, 19]]
    """
    logits, labels, valid, _ = checked(logits, labels, None)
    error = jax.nn.sigmoid(log_odds_of_error(logits, labels))
    at = jnp.minimum((error * ERROR_BINS).astype(jnp.int32), ERROR_BINS - 1)
    return one_hot(at, ERROR_BINS) & valid[..., None]


def branches(
    logits: Float[ArrayLike, "*batch h w classes"],
    labels: Integer[ArrayLike, "*batch h w"],
    *,
    eps_inf: ScalarLike = 0.3,
    eps_sup: ScalarLike = 0.7,
) -> Bool[Array, "*batch h w 3"]:
    """Which pixels are easy, critical and hard for the truncated cross entropy.

    Decided on the same quantity as in `softmax_truncated_cross_entropy`, the log odds of the error.

    Args:
        logits: unnormalised finite scores, in any floating-point type.
        labels: class indices; outside [0, classes) a pixel is void and in no branch.
        eps_inf: below this error, one minus the label's probability, a pixel is easy; in [0, 1), 0 makes
            none easy. May be traced.
        eps_sup: above this error a pixel is hard; in (0, 1] and above `eps_inf`, 1 makes none hard. May be
            traced. Both thresholds themselves are critical.

    Returns:
        Three groups on the last axis: easy, critical, hard.

    Raises:
        TypeError: logits are not floating point, or labels not integers.
        ValueError: shapes that do not match, fewer than two classes, a threshold out of its range, or
            eps_inf not below eps_sup.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 5 to 7.

    >>> import numpy as np
    >>> logits = np.array([[[2.0, 0.0], [0.0, 0.0], [2.0, 0.0], [0.0, 0.0]]], np.float32)
    >>> branches(logits, np.array([[0, 1, 1, 255]])).astype(int).tolist()
    [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]]
    """
    logits, labels, valid, _ = checked(logits, labels, None)
    joints, odds = joints_at(eps_inf, eps_sup, logits.dtype), log_odds_of_error(logits, labels)
    easy, hard = odds < joints.inf, odds > joints.sup
    return jnp.stack([easy, ~easy & ~hard, hard], axis=-1) & valid[..., None]


def boundary_and_inside(
    labels: Integer[ArrayLike, "*batch h w"], num_classes: int
) -> Bool[Array, "*batch h w 2"]:
    """Which pixels touch another class (`masks.boundary_mask`), and which do not.

    Args:
        labels: class indices; outside [0, num_classes) a pixel is void and in neither group.
        num_classes: number of classes, at least 1.

    Returns:
        Two groups on the last axis: boundary, inside.

    Raises:
        TypeError: labels are not integers.
        ValueError: num_classes is below 1, or labels have fewer than two axes.

    >>> import numpy as np
    >>> boundary_and_inside(np.array([[0, 0, 1, 255]]), 2).astype(int).tolist()
    [[[0, 1], [1, 0], [1, 0], [0, 0]]]
    """
    boundary = boundary_mask(labels, num_classes)
    return jnp.stack([boundary, valid_mask(labels, num_classes) & ~boundary], axis=-1)


def group_sums(
    values: Float[ArrayLike, "*batch h w"], groups: Bool[ArrayLike, "*batch h w groups"]
) -> Float[Array, "*batch groups"]:
    """Sum of a map over each group of pixels of each image.

    Args:
        values: a map, such as a loss or a mask; in pixels of no group it may hold anything.
        groups: which pixels are in which group.

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


def shares(held: Holdings) -> Shares:
    """Each group's share of the pixels, the loss and the gradient of all images together.

    Images count as in the mean loss of a batch: alike in loss and gradient, however many of their pixels are
    void. A group without a pixel holds 0.

    Args:
        held: of any number of images, on leading axes.

    Returns:
        Shares, computed on the host; NaN where there is nothing to share, or no finite number.

    >>> import numpy as np
    >>> two = Holdings(np.array([[3, 1], [4, 0]]), np.array([[0.1, 0.3], [0.4, 0.0]]), np.zeros((2, 2)))
    >>> [share.round(3).tolist() for share in shares(two)]
    [[0.875, 0.125], [0.625, 0.375], [nan, nan]]
    """

    def share(sums: Array | np.ndarray) -> np.ndarray:
        totals = _over_images(sums)
        whole = totals.sum()
        return totals / whole if 0 < whole < np.inf else np.full_like(totals, np.nan)

    return Shares(*map(share, held))


def densities(held: Holdings) -> tuple[Float64[np.ndarray, "groups"], Float64[np.ndarray, "groups"]]:
    """How much loss, and how much gradient, a pixel of each group holds, where the mean pixel holds 1.

    The quotient of two groups is what the one holds over the other, pixel for pixel: of a division by
    boundary, how many times as much a boundary pixel counts as one inside.

    Args:
        held: of any number of images, on leading axes.

    Returns:
        Of the loss and of the gradient, computed on the host; NaN for a group without a pixel.

    >>> import numpy as np
    >>> loss, gradient = densities(Holdings(np.array([10, 30]), np.array([0.5, 0.5]), np.array([0.0, 0.6])))
    >>> loss.round(2), gradient.round(2)
    (array([2.  , 0.67]), array([0.  , 1.33]))
    """
    pixels, loss, gradient = shares(held)
    size = np.where(pixels > 0, pixels, np.nan)
    return loss / size, gradient / size


def means(
    sums: Float[ArrayLike, "*images groups"], pixels: Integer[ArrayLike, "*images groups"]
) -> Float64[np.ndarray, "groups"]:
    """Mean of a map over the pixels of each group, all images together.

    Args:
        sums: of a map, such as a mask, by `group_sums`; of any number of images, on leading axes.
        pixels: of the same images and groups, as in `Holdings.pixels`.

    Returns:
        Means, computed on the host; NaN for a group without a pixel.

    >>> import numpy as np
    >>> means(np.array([[6.0, 0.0], [2.0, 0.0]]), np.array([[3, 0], [1, 0]])).tolist()
    [2.0, nan]
    """
    sums, pixels = _over_images(sums), _over_images(pixels)
    return np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan)


def _over_images(sums: ArrayLike) -> Float64[np.ndarray, "groups"]:
    return np.asarray(sums, np.float64).reshape(-1, np.shape(sums)[-1]).sum(axis=0)
