"""Weights that mute pixels whose surroundings mix several classes."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, ArrayLike, Float, Integer, ScalarLike, UInt32

from balanced_jax._pixels import as_classes, at_label, constant, one_hot
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

    counts = _count(labels, num_classes, int(window), method)
    counted = jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True, dtype=jnp.int32), 1)
    # Shares: log(counted) - sum(counts * log(counts)) / counted cancels, and is 1e-6 off at a window of 15.
    shares = counts.astype(jnp.float32) / counted.astype(jnp.float32)
    mask = 1 - jnp.sum(entr(shares), axis=-1) / np.float32(np.log(num_classes))
    mask = jnp.clip(mask, minimum, 1)
    if preserve_class_mass:
        mask = _with_class_mean_1(mask, labels, num_classes)
    return jnp.where(valid_mask(labels, num_classes), mask, 0)


def _with_class_mean_1(
    mask: Float[Array, "*batch h w"], labels: Integer[Array, "*batch h w"], num_classes: int
) -> Float[Array, "*batch h w"]:
    chosen = one_hot(labels, num_classes)
    pixels = jnp.maximum(jnp.sum(chosen, axis=(-3, -2), dtype=jnp.int32), 1)
    mean = jnp.sum(mask[..., None], axis=(-3, -2), where=chosen) / pixels
    # A class that the mask erases has nothing left to scale: it keeps weight 1.
    mean = at_label(jnp.where(mean < 1e-3, 0, mean), chosen)
    return jnp.where(mean > 0, mask / jnp.where(mean > 0, mean, 1), 1)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))  # one program, where eager calls would compile dozens
def _count(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int, method: str | None
) -> Integer[Array, "*batch h w classes"]:
    """How many pixels of each class the window around each pixel holds, by the named method."""
    counters = {
        "conv": lambda x: _count_by_convolution(x, num_classes, window),
        "packed": lambda x: _count_in_packed_words(x, num_classes, window),
    }
    if method is not None:
        return counters[method](labels)
    return jax.lax.platform_dependent(labels, cpu=counters["packed"], default=counters["conv"])


def _count_by_convolution(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> Integer[Array, "*batch h w classes"]:
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


def _count_in_packed_words(
    labels: Integer[Array, "*batch h w"], num_classes: int, window: int
) -> Integer[Array, "*batch h w classes"]:
    bits = (window * window).bit_length()
    per_word = 32 // bits
    counts = []
    for first in range(0, num_classes, per_word):
        here = min(per_word, num_classes - first)
        inside = (labels >= first) & (labels < first + here)
        shift = bits * jnp.where(inside, labels - first, 0).astype(jnp.uint32)
        words = jnp.where(inside, jnp.uint32(1) << shift, jnp.uint32(0))
        words = _window_sums(_window_sums(words, window, axis=-2), window, axis=-1)
        counts += [(words >> jnp.uint32(bits * k)) & jnp.uint32(2**bits - 1) for k in range(here)]
    return jnp.stack(counts, axis=-1).astype(jnp.int32)


def _window_sums(words: UInt32[Array, "*batch h w"], window: int, axis: int) -> UInt32[Array, "*batch h w"]:
    """Sums over a centred window along one axis; beyond the image there is nothing to sum.

    Sums of 1, 2, 4, ... neighbours are made by doubling, and those that add up to the window are put side
    by side (7 = 1 + 2 + 4), so that the work grows with the logarithm of the window.
    """
    size, axis = words.shape[axis], axis % words.ndim
    padding = [(0, 0)] * words.ndim
    padding[axis] = (window // 2, window // 2)
    partial = jnp.pad(words, padding)

    def sliced(start: int, end: int) -> Array:
        return jax.lax.slice_in_dim(partial, start, end, axis=axis)

    total, start = jnp.zeros_like(words), 0
    for width in (2**bit for bit in range(window.bit_length())):
        if width > 1:
            end = partial.shape[axis]
            partial = sliced(0, end - width // 2) + sliced(width // 2, end)
        if window & width:
            total += sliced(start, start + size)
            start += width
    return total
