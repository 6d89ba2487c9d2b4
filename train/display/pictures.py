"""Classes drawn over pictures, such that a defect of one pixel is seen and a large one hides nothing."""

import matplotlib
import numpy as np
from scipy.ndimage import maximum_filter

from train.data.example import VOID
from train.data.pixels import visible

# Okabe and Ito's palette, which colour-blind people can tell apart, less black.
PALETTE = np.array(
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
TINT = 0.25
"""Opacity of the colour that lies over a class."""
OUTLINES_ACROSS = 250
"""How many outlines side by side would cover the longer side of a picture."""

HEAT_TICKS = (0.1, 1, 10, 100)
"""Costs named beside the scale of heat, as multiples of a picture's mean; its ends are the first and last."""


def class_colors(num_classes: int) -> np.ndarray:
    """The colour of each class from 1 on, uint8 [num_classes - 1, 3]; the same however many there are.

    Colours come in rounds of seven: pure, then lighter and darker in turn.
    """
    rounds, place = np.divmod(np.arange(num_classes - 1), len(PALETTE))
    purity = 0.6 ** ((rounds + 1) // 2)[:, None]
    end = np.where(rounds % 2, 255, 0)[:, None]
    return np.round(purity * PALETTE[place] + (1 - purity) * end).astype(np.uint8)


def layer(label: np.ndarray) -> np.ndarray:
    """What is laid over a picture to show its classes: a light tint and an outline each; stripes over void.

    An outline lies on the more common side of a boundary, so that nothing small is painted over.

    Args:
        label: class ids, uint8 [h, w]; 0 (the background) stays clear, 255 is void.

    Returns:
        Red, green, blue and opacity, uint8 [h, w, 4].
    """
    width = outline_width(label.shape)
    out = np.zeros((*label.shape, 4), np.uint8)
    void = label == VOID
    out[void] = _stripes(*np.nonzero(void), width=3 * width)
    colors = class_colors(VOID)
    classes, pixels = np.unique(label[(label > 0) & ~void], return_counts=True)
    as_rare = (label > 0) & ~void  # the pixels of the class at hand and of those to come
    for k in classes[np.argsort(-pixels, kind="stable")]:
        inside = label == k
        outline = maximum_filter(inside, size=2 * width + 1) & ~as_rare
        out[inside] = *colors[k - 1], round(255 * TINT)
        out[outline] = *colors[k - 1], 255
        as_rare &= ~inside
    return out


def overlay(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A picture with its classes drawn over it; see `layer`.

    Args:
        image: uint8 [h, w, c].
        label: class ids, uint8 [h, w]; 255 is void.

    Returns:
        uint8 [h, w, 3].
    """
    drawn = layer(label).astype(np.uint16)
    opacity = drawn[..., 3:]
    return ((opacity * drawn[..., :3] + (255 - opacity) * visible(image) + 127) // 255).astype(np.uint8)


def heat(cost: np.ndarray) -> np.ndarray:
    """What each pixel costs, as a colour: dark is cheap, light is dear, on a logarithmic scale.

    A cost counts as a multiple of the picture's mean, so that a picture says which pixels hold the loss, not
    how large it is.

    Args:
        cost: [h, w]; NaN at void pixels, which are striped.

    Returns:
        uint8 [h, w, 3].
    """
    void = np.isnan(cost)
    mean = cost[~void].mean() if not void.all() else 0.0
    times = np.where(void, 0, cost) / mean if 0 < mean < np.inf else np.zeros_like(cost)
    out = heat_color(times)
    out[void] = _stripes(*np.nonzero(void), width=3 * outline_width(cost.shape))[:, :3]
    return out


def heat_color(times: np.ndarray | float) -> np.ndarray:
    """The colour of a cost that is so many times the mean, uint8 [..., 3]."""
    low, high = np.log10(HEAT_TICKS[0]), np.log10(HEAT_TICKS[-1])
    place = (np.log10(np.maximum(times, HEAT_TICKS[0])) - low) / (high - low)
    return np.asarray(matplotlib.colormaps["inferno"](place, bytes=True))[..., :3]


def enlarge(pixels: np.ndarray, at_least: int) -> np.ndarray:
    """A small picture or label with each pixel as a square, so that an outline is finer than a pixel.

    Args:
        pixels: [h, w, ...].
        at_least: what the longer side is brought to, in pixels, with a whole factor k.

    Returns:
        The same type, [k h, k w, ...]; unchanged where it is large enough.
    """
    times = -(-at_least // max(pixels.shape[:2]))
    return pixels.repeat(times, 0).repeat(times, 1)


def outline_width(shape: tuple[int, ...]) -> int:
    """Pixels of an outline that is still seen when the whole picture is."""
    return -(-max(shape) // OUTLINES_ACROSS)


def _stripes(y: np.ndarray, x: np.ndarray, width: int) -> np.ndarray:
    """Half-clear grey in two shades, uint8 [n, 4] for n pixels, which makes diagonal stripes."""
    shade = np.where((y + x) // width % 2, 112, 160)
    return np.stack([shade, shade, shade, np.full_like(shade, 160)], -1)
