"""The confusion mask: small weights where the surrounding labels mix several classes."""

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlog1py
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike

from balanced_jax._arguments import as_class_indices, as_constant, check_static, check_window
from balanced_jax._labels import class_counts, one_hot, take_by_label
from balanced_jax._sharding import shard_automatically
from balanced_jax.masks import _on_cpu
from balanced_jax.masks._counters import pack_one_hot, unpack, window_sums
from balanced_jax.masks.valid import valid_mask


def confusion_mask(
    labels: Integer[ArrayLike, "*batch h w"],
    num_classes: int,
    *,
    window: int = 7,
    minimum: ScalarLike = 0.0,
    preserve_class_mass: bool = False,
    method: Literal["conv"] | None = None,
) -> Float[Array, "*batch h w"]:
    """Return the purity of the labels around each pixel, one minus their relative entropy.

    If the fractions of the classes in the square window around a pixel have the entropy H, the weight is
    1 - H / log(num_classes): 1 for a window of one class, 0 for an even mixture of all. Fractions are of the
    non-void pixels inside the image. The paper divides by the area of the window; this differs only near the
    border of the image and near void pixels, where the paper's weight of a window of one class is below 1.

    Structures much narrower than the window get weights near 0 throughout: in an image of two classes a line
    three pixels wide weighs 0.39 on average under a window of 3, and 0.01 under a window of 7.

    Args:
        labels, num_classes: see `balanced_jax.masks` (errors, too).
        window: side of the square in pixels, odd and at least 3; a TypeError if not an integer.
        minimum: smallest weight, in [0, 1]; not in the paper. May be traced.
        preserve_class_mass: whether the mask, after `minimum`, is divided by its mean over each class of the
            image, so that a boundary loses weight to the interior of its own class only; not in the paper. A
            class whose mean is below 0.001 gets weights of 1.
        method: how the pixels of a window are counted: "conv" by a convolution of one-hot planes, None by
            sums of integers that hold counters of several classes. Counts are equal; None moves a fraction of
            the bytes on every platform.

    Returns:
        Weights in [0, 1] (before `preserve_class_mass`) in float32, 0 at void pixels.

    References:
        Xie et al. 2023, doi:10.3390/app13020826, eqs. 8 to 10.

    >>> import numpy as np
    >>> labels = np.zeros((9, 9), np.uint8)
    >>> labels[:, 4:] = 1
    >>> print(np.asarray(confusion_mask(labels, 2, window=3))[4].round(2))  # all rows are equal
    [1.   1.   1.   0.08 0.08 1.   1.   1.   1.  ]
    """
    check_static(preserve_class_mass=preserve_class_mass)
    check_window(window)
    if method not in (None, "conv"):
        raise ValueError(f'method must be "conv" or None, got {method!r}')
    minimum = as_constant("minimum", minimum, lambda m: 0 <= m <= 1, "in [0, 1]")
    labels = as_class_indices("labels", labels, num_classes, min_classes=2)

    mask = _purity(labels, num_classes, int(window), method)
    mask = jnp.clip(mask, minimum, 1)
    if preserve_class_mass:
        mask = _scale_to_class_mean_1(mask, labels, num_classes)
    return jnp.where(valid_mask(labels, num_classes), mask, 0)


def _scale_to_class_mean_1(
    mask: Float[Array, "*batch h w"], labels: Integer[Array, "*batch h w"], num_classes: int
) -> Float[Array, "*batch h w"]:
    total = jnp.sum(mask[..., None], axis=(-3, -2), where=one_hot(labels, num_classes))
    mean = total / jnp.maximum(class_counts(labels, num_classes), 1).astype(mask.dtype)
    mean = take_by_label(jnp.where(mean < 1e-3, 0, mean), labels)
    return jnp.where(mean > 0, mask / jnp.where(mean > 0, mean, 1), 1)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))  # one program; eager calls would compile dozens
def _purity(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int, method: str | None
) -> Float[Array, "*batch h w"]:
    """Return one minus the entropy of the classes in the window around each pixel over its maximum."""

    def by_convolution(y: Array) -> Array:
        counts = count_by_convolution(y, num_classes, window)
        return _purity_of_counts([counts[..., k] for k in range(num_classes)])

    by_slices = functools.partial(
        jax.lax.platform_dependent,
        cpu=lambda y: _on_cpu.purity(y, num_classes, window),
        default=lambda y: _purity_of_counts(count_by_slices(y, num_classes, window)),
    )
    return shard_automatically(by_convolution if method == "conv" else by_slices, labels)


def _purity_of_counts(counts: list[Integer[Array, "*batch h w"]]) -> Float[Array, "*batch h w"]:
    """Compute sum(q log(C q)) / log(C) of the fractions q of C classes.

    The logarithm is log1p(C q - 1) with an exact numerator: near an even mixture 1 - H / log(C) would lose
    its digits, which the division by a class's mean brings out.
    """
    classes, n = len(counts), jnp.maximum(sum(counts), 1)
    terms = [xlog1py(c / n, (classes * c - n) / n) for c in counts]
    return functools.reduce(jnp.add, terms) / np.float32(np.log(classes))


def count_by_slices(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> list[Integer[Array, "*batch h w"]]:
    """Count the pixels of each class in the window around each pixel: sums of shifted packed counters."""
    sums = [window_sums(words, window) for words in pack_one_hot(labels, num_classes, window)]
    return unpack(sums, num_classes, window)


def count_by_convolution(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> Integer[Array, "*batch h w classes"]:
    """Count the pixels of each class in the window around each pixel."""
    planes = one_hot(labels, num_classes).astype(jnp.float32)
    *batch, height, width, _ = planes.shape
    # Exact at any operand precision: operands are 0 and 1, sums stay below 2**24.
    counts = jax.lax.conv_general_dilated(
        planes.reshape(math.prod(batch), height, width, num_classes),
        jnp.ones((window, window, 1, num_classes), jnp.float32),
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=num_classes,
        preferred_element_type=jnp.float32,
    )
    return counts.reshape(*batch, height, width, num_classes).astype(jnp.int32)
