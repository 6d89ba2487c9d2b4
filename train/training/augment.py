"""Random changes of training images, on the device."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from train.config import Augmentation
from train.data.example import VOID


def augment(
    key: jax.Array, image: jax.Array, label: jax.Array, augmentation: Augmentation, masks: Any = None
) -> tuple[jax.Array, jax.Array, Any]:
    """Change one image at random; flip and rotate its label and masks along with it.

    Args:
        key: of all random numbers.
        image: float [h, w, c] with values in 0 to 1.
        label: int32 [h, w].
        augmentation: which changes, and how strong.
        masks: any tree of weight maps [h, w].

    Returns:
        Image, label and masks of the same shapes and dtypes. Pixels rotated in from outside the image are
        void in the label.
    """
    flip_key, rotation_key, brightness_key, contrast_key = jax.random.split(key, 4)
    if augmentation.flip:
        across, down = jax.random.bernoulli(flip_key, shape=(2,))
        image, label, masks = jax.tree.map(lambda x: jnp.where(across, x[:, ::-1], x), (image, label, masks))
        image, label, masks = jax.tree.map(lambda x: jnp.where(down, x[::-1], x), (image, label, masks))
    if augmentation.rotation:
        limit = augmentation.rotation
        degrees = jax.random.uniform(rotation_key, minval=-limit, maxval=limit)
        image, (label, masks) = rotate(image, (label, masks), degrees, limit)
    if augmentation.brightness:
        image = jnp.asarray(dm_pix.random_brightness(brightness_key, image, augmentation.brightness))
    if augmentation.contrast:
        lower, upper = 1 - augmentation.contrast, 1 + augmentation.contrast
        image = jnp.asarray(dm_pix.random_contrast(contrast_key, image, lower, upper))
    return image, label, masks


def rotate(image: jax.Array, maps: Any, degrees: jax.Array, limit: float) -> tuple[jax.Array, Any]:
    """Rotate an image by linear interpolation, and maps by nearest neighbors, counterclockwise.

    A rotation is a number of quarter turns and three shears (Paeth 1986). Shears by whole pixels, of all
    columns, all rows and all columns, permute the pixels. The position of a pixel determines its position in
    the result, and thereby the coordinates of the value that the result has there, which are at most 1.1
    pixels away. So each pixel is first replaced by this value, interpolated among its neighbors, and moved
    afterwards. The result is that of direct interpolation, which is a gather: a TPU loads a tile of memory
    for each pixel and tap, and moves thirty times as many bytes as the whole U-Net does.

    Args:
        image: float [h, w, c].
        maps: any tree of arrays [h, w].
        degrees: the angle, a scalar.
        limit: the largest absolute angle, up to 180. If it is above 45 and h - w is odd, the center of
            rotation is half a pixel off the center of the image, so that quarter turns end on pixels.

    Returns:
        Image and maps of the same shapes and dtypes. What comes from outside the image is `VOID` in the maps,
        and in the image the value of the nearest pixel, or of one close to it.
    """
    height, width = image.shape[:2]
    high, wide = (height, width) if limit <= 45 else 2 * (max(height, width),)
    top, left = (high - height) // 2, (wide - width) // 2
    around = _MARGIN + _NEIGHBORS
    padding = (
        (top + around, high - height - top + around),
        (left + around, wide - width - left + around),
    )
    steepest = math.radians(min(limit, 45))
    steepest_tan, steepest_sin = math.tan(steepest / 2), math.sin(steepest)
    reach = math.ceil(steepest_tan * wide / 2)
    rows_between = _positions(high, top - reach, top + height + reach)

    turns = jnp.round(degrees / 90)
    angle = jnp.deg2rad(degrees - 90 * turns)
    tan, sin, cos = jnp.tan(angle / 2), jnp.sin(angle), jnp.cos(angle)
    # Position of each pixel after the first, the second and the third shear.
    columns = _positions(wide, -_MARGIN, wide + _MARGIN)
    rows = _positions(high, -_MARGIN, high + _MARGIN).T
    row = rows - jnp.round(tan * columns)
    column = columns + jnp.round(sin * row)
    row = row - jnp.round(tan * column)
    down, right = cos * row + sin * column - rows, cos * column - sin * row - columns

    def move(x: jax.Array, resample: Callable, **fill: Any) -> jax.Array:
        x = jnp.pad(x, padding, **fill)
        if limit > 45:
            x = _turn(x, turns)
        x = resample(x, down, right)
        x = _shear(x, columns, tan, steepest_tan, _MARGIN + top - reach, height + 2 * reach)
        x = _shear(x.T, rows_between, -sin, steepest_sin, _MARGIN + left, width).T
        return _shear(x, _positions(wide, left, left + width), tan, steepest_tan, reach, height)

    image = jax.vmap(lambda x: move(x, _linear, mode="edge"), -1, -1)(image)
    return image, jax.tree.map(lambda x: move(x, _nearest, constant_values=VOID), maps)


_MARGIN = 2
"""Pixels around the image among which the shears may find a pixel of the result."""
_NEIGHBORS = 2
"""Pixels around each pixel among which it may take its value."""


def _positions(size: int, first: int, last: int) -> np.ndarray:
    """Positions `first` to `last - 1` on an axis of this size, relative to its center, [1, last - first]."""
    return np.arange(first, last, dtype=np.float32)[None] - np.float32((size - 1) / 2)


def _turn(x: jax.Array, turns: jax.Array) -> jax.Array:
    """Turn a square counterclockwise by whole quarter turns."""
    turns %= 4
    x = jnp.where((turns == 1) | (turns == 3), x.T, x)
    x = jnp.where((turns == 1) | (turns == 2), x[::-1], x)
    return jnp.where((turns == 2) | (turns == 3), x[:, ::-1], x)


def _neighbor(x: jax.Array, down: int, right: int) -> jax.Array:
    """For each pixel that is not among the outer `_NEIGHBORS`: the pixel so far down and to the right."""
    high, wide = x.shape
    down, right = down + _NEIGHBORS, right + _NEIGHBORS
    return x[down : down + high - 2 * _NEIGHBORS, right : right + wide - 2 * _NEIGHBORS]


def _linear(x: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """Interpolate linearly so far down (-2 to 2 pixels) and to the right (-1 to 1) of each pixel."""

    def weight(distance: jax.Array) -> jax.Array:
        return jnp.maximum(0, 1 - jnp.abs(distance))

    total = jnp.zeros_like(down)
    for i in (-2, -1, 0, 1, 2):
        total += weight(down - i) * sum(weight(right - j) * _neighbor(x, i, j) for j in (-1, 0, 1))
    return total.astype(x.dtype)


def _nearest(x: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """Take the pixel so far down and to the right (-1.5 to 1.5 pixels) of each pixel, rounded."""
    down, right = jnp.round(down), jnp.round(right)
    nearest = _neighbor(x, 0, 0)
    for i, j in itertools.product((-1, 0, 1), repeat=2):
        nearest = jnp.where((down == i) & (right == j), _neighbor(x, i, j), nearest)
    return nearest


def _shear(
    x: jax.Array, columns: np.ndarray, slope: jax.Array, steepest: float, start: int, size: int
) -> jax.Array:
    """Shift each column by a number of whole pixels that is proportional to its position.

    Args:
        x: [h, w].
        columns: positions of the columns, [1, w].
        slope: shift over position.
        steepest: largest absolute slope.
        start: row of `x` that is the first row of the result where the shift is 0; may be negative.
        size: number of rows of the result.

    Returns:
        `x[start + i + round(slope * columns[0, j]), j]` at row i and column j. Rows before the first and
        after the last of `x` are equal to these.
    """
    reach = math.ceil(steepest * float(np.abs(columns).max()))
    first, last = start - reach, start + size + reach
    before, after = max(-first, 0), max(last - len(x), 0)
    x = jnp.pad(x, ((before, after), (0, 0)), mode="edge")[first + before : last + before]
    # Selects take the place of a gather; each halves the largest shift that is left.
    shift, largest = jnp.round(slope * columns) + reach, 2 * reach
    while largest:
        step = (largest + 1) // 2
        far = shift >= step
        x, shift, largest = jnp.where(far, x[step:], x[:-step]), shift - step * far, largest - step
    return x
