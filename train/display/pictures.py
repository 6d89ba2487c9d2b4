"""Pictures of labels and predictions over images, and of the cost per pixel.

An outline around each region keeps a defect of one pixel visible; a light tint keeps the texture of a large
one visible.
"""

import matplotlib
import numpy as np
from scipy.ndimage import maximum_filter

from train.data.example import VOID
from train.data.pixels import channels_to_display

# The palette of Okabe and Ito without black, which color-blind people can tell apart.
_PALETTE = np.array(
    [
        (213, 94, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (204, 121, 167),
        (0, 114, 178),
        (230, 159, 0),
    ]
)
_TINT = 0.25
"""Opacity of the color over a region."""
_OUTLINES_PER_SIDE = 250
"""Number of outlines that fit side by side along the longer side of a picture."""
_STRIPE_SHADES = (112, 160)
_STRIPE_OPACITY = 160

HEAT_TICKS = (0.1, 1, 10, 100)
"""Ticks of the color scale of `heatmap`, in multiples of the mean cost; its ends are the first and last."""


def class_colors(num_classes: int) -> np.ndarray:
    """Return the color of each class from 1 on, uint8 [num_classes - 1, 3].

    The color of a class does not depend on the number of classes. After the seven colors of the palette come
    lighter and darker shades of them in turn.
    """
    rounds, color = np.divmod(np.arange(num_classes - 1), len(_PALETTE))
    purity = 0.6 ** ((rounds + 1) // 2)[:, None]
    white_or_black = np.where(rounds % 2, 255, 0)[:, None]
    return np.round(purity * _PALETTE[color] + (1 - purity) * white_or_black).astype(np.uint8)


def class_layer(label: np.ndarray, outline_width: int | None = None) -> np.ndarray:
    """Draw class ids as a layer over an image: a tint and an outline for each region, stripes for void.

    An outline lies on the side of the more common class of a boundary, so that it covers no small region.

    Args:
        label: class ids, uint8 [h, w]; 0 (the background) stays transparent, 255 is void.
        outline_width: in pixels; None for one that stays visible when the whole picture is shown.

    Returns:
        Red, green, blue and opacity, uint8 [h, w, 4].
    """
    width = outline_width or _outline_width(label.shape)
    layer = np.zeros((*label.shape, 4), np.uint8)
    void = label == VOID
    layer[void] = _stripes(*np.nonzero(void), width=3 * width)
    colors = class_colors(VOID)
    classes, pixels = np.unique(label[(label > 0) & ~void], return_counts=True)
    uncovered = (label > 0) & ~void  # the pixels of this class and of all rarer ones
    for k in classes[np.argsort(-pixels, kind="stable")]:
        region = label == k
        outline = maximum_filter(region, size=2 * width + 1) & ~uncovered
        layer[region] = *colors[k - 1], round(255 * _TINT)
        layer[outline] = *colors[k - 1], 255
        uncovered &= ~region
    return layer


def overlay(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Draw class ids over an image, as in `class_layer`.

    Args:
        image: uint8 [h, w, c].
        label: class ids, uint8 [h, w]; 255 is void.

    Returns:
        uint8 [h, w, 3].
    """
    layer = class_layer(label).astype(np.uint16)
    opacity = layer[..., 3:]
    blended = opacity * layer[..., :3] + (255 - opacity) * channels_to_display(image)
    return ((blended + 127) // 255).astype(np.uint8)


def heatmap(cost: np.ndarray) -> np.ndarray:
    """Draw the cost of each pixel on a logarithmic color scale, from dark (low) to light (high).

    Colors stand for multiples of the picture's mean cost: they show how the loss is distributed over the
    pixels, not how large it is.

    Args:
        cost: [h, w]; NaN at void pixels, which are striped.

    Returns:
        uint8 [h, w, 3].
    """
    void = np.isnan(cost)
    mean = cost[~void].mean() if not void.all() else 0.0
    multiples = np.where(void, 0, cost) / mean if 0 < mean < np.inf else np.zeros_like(cost)
    colors = heat_colors(multiples)
    colors[void] = _stripes(*np.nonzero(void), width=3 * _outline_width(cost.shape))[:, :3]
    return colors


def heat_colors(multiples: np.ndarray | float) -> np.ndarray:
    """Return the color of costs in multiples of the mean, uint8 [..., 3]."""
    low, high = np.log10(HEAT_TICKS[0]), np.log10(HEAT_TICKS[-1])
    position = (np.log10(np.maximum(multiples, HEAT_TICKS[0])) - low) / (high - low)
    return np.asarray(matplotlib.colormaps["inferno"](position, bytes=True))[..., :3]


def enlarge(pixels: np.ndarray, minimum_side: int) -> np.ndarray:
    """Repeat each pixel of a small picture, so that an outline can be thinner than an original pixel.

    Args:
        pixels: [h, w, ...].
        minimum_side: least length of the longer side of the result.

    Returns:
        [k h, k w, ...] with the smallest sufficient integer k; unchanged where the picture is large enough.
    """
    factor = -(-minimum_side // max(pixels.shape[:2]))
    return pixels.repeat(factor, 0).repeat(factor, 1)


def _outline_width(shape: tuple[int, ...]) -> int:
    """Return the width of an outline, in pixels, that stays visible when the whole picture is shown."""
    return -(-max(shape) // _OUTLINES_PER_SIDE)


def _stripes(y: np.ndarray, x: np.ndarray, width: int) -> np.ndarray:
    """Return half-transparent diagonal stripes in two shades at n pixels, uint8 [n, 4]."""
    dark, light = _STRIPE_SHADES
    shade = np.where((y + x) // width % 2, dark, light)
    return np.stack([shade, shade, shade, np.full_like(shade, _STRIPE_OPACITY)], -1)
