"""Weights that mute pixels whose surroundings mix several classes."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import as_classes, constant
from balanced_jax._labels import at_label, class_pixels, one_hot
from balanced_jax.masks import _packed
from balanced_jax.masks.valid import valid_mask


def confusion_mask(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    window: int = 7,
    minimum: ScalarLike = 0.0,
    preserve_class_mass: bool = False,
    method: Literal["conv", "packed"] | None = None,
) -> Float[Array, "*batch h w"]:
    """Weight of each pixel by how pure the labels around it are.

    In the square window around a pixel the shares q of the classes have the entropy H, and the weight is
    1 - H / log(num_classes): 1 where the window shows one class, 0 where all are mixed evenly. Shares are
    of the non-void pixels inside the image; away from its border and from void that is the paper's mask,
    which divides by the window's area everywhere and so takes the border for a mixture.

    Beware of thin things: a line much narrower than the window is muted as a whole. In an image of two
    classes a line of three pixels weighs .39 on average under a window of 3, and .01 under one of 7.

    Args:
        labels: class indices; outside [0, num_classes) a pixel is void.
        num_classes: number of classes, at least 2.
        window: side of the square in pixels, odd and at least 3.
        minimum: ours: no pixel weighs less than this, in [0, 1].
        preserve_class_mass: ours: divide the mask by its mean over each class of the image, after
            `minimum`, so that a boundary loses weight to the inside of its own class and to no other. A
            class with a mean below .001 keeps weight 1.
        method: how the window is counted: "conv" by a convolution of the classes' planes, "packed" by
            several counters in one integer; the counts are the same. None takes "packed" on CPU and
            "conv" elsewhere.

    Returns:
        Weights in [0, 1] in float32 (before the mass of classes is preserved), 0 at void pixels.

    Raises:
        TypeError: labels are not integers, or window is not.
        ValueError: an even window or one below 3, minimum outside [0, 1], an unknown `method`,
            num_classes below 2, or labels with fewer than two axes.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 8 to 10.

    >>> import numpy as np
    >>> labels = np.zeros((9, 9), np.uint8)
    >>> labels[:, 4:] = 1
    >>> print(np.asarray(confusion_mask(labels, 2, window=3))[4].round(2))  # the same in every row
    [1.   1.   1.   0.08 0.08 1.   1.   1.   1.  ]
    """
    if not isinstance(window, int | np.integer):
        raise TypeError(f"window must be an integer, got {window!r}")
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window must be odd and at least 3, got {window}")
    if method not in (None, "conv", "packed"):
        raise ValueError(f'method must be "conv", "packed" or None, got {method!r}')
    minimum = constant("minimum", minimum, lambda m: 0 <= m <= 1, "in [0, 1]")
    labels = as_classes("labels", labels, num_classes, at_least=2)

    mask = _purity(labels, num_classes, int(window), method)
    mask = jnp.clip(mask, minimum, 1)
    if preserve_class_mass:
        mask = _with_class_mean_1(mask, labels, num_classes)
    return jnp.where(valid_mask(labels, num_classes), mask, 0)


def _with_class_mean_1(
    mask: Float[Array, "*batch h w"], labels: Integer[Array, "*batch h w"], num_classes: int
) -> Float[Array, "*batch h w"]:
    total = jnp.stack([jnp.sum(mask, axis=(-2, -1), where=labels == k) for k in range(num_classes)], axis=-1)
    mean = total / jnp.maximum(class_pixels(labels, num_classes), 1)
    # A class that the mask erases has nothing left to scale: it keeps weight 1.
    mean = at_label(jnp.where(mean < 1e-3, 0, mean), labels)
    return jnp.where(mean > 0, mask / jnp.where(mean > 0, mean, 1), 1)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))  # one program, where eager calls would compile dozens
def _purity(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int, method: str | None
) -> Float[Array, "*batch h w"]:
    """1 - H / log(num_classes), by the named method."""
    methods = {
        "conv": lambda x: _purity_by_convolution(x, num_classes, window),
        "packed": lambda x: _packed.purity(x, num_classes, window),
    }
    if method is not None:
        return methods[method](labels)
    return jax.lax.platform_dependent(labels, cpu=methods["packed"], default=methods["conv"])


def _purity_by_convolution(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> Float[Array, "*batch h w"]:
    counts = count_by_convolution(labels, num_classes, window)
    counted = jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True, dtype=jnp.int32), 1)
    # Shares: log(counted) - sum(counts * log(counts)) / counted cancels, and is 1e-6 off at a window of 15.
    shares = counts.astype(jnp.float32) / counted.astype(jnp.float32)
    return 1 - jnp.sum(entr(shares), axis=-1) / np.float32(np.log(num_classes))


def count_by_convolution(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> Integer[Array, "*batch h w classes"]:
    """How many pixels of each class the window around each pixel holds."""
    planes = one_hot(labels, num_classes).astype(jnp.float32)
    *batch, height, width, _ = planes.shape
    # Exact at any precision of the operands, since they are 0 and 1; the sums stay below 2**24.
    counts = jax.lax.conv_general_dilated(
        planes.reshape(-1, height, width, num_classes),
        jnp.ones((window, window, 1, num_classes), jnp.float32),
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=num_classes,
        preferred_element_type=jnp.float32,
    )
    return counts.reshape(*batch, height, width, num_classes).astype(jnp.int32)
