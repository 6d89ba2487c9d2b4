"""What the confusion mask makes of a data set's labels, to be seen before any time is spent on training."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from balanced_jax.masks import confusion_mask
from train.data.example import VOID

MUTED = 0.5
"""A class whose rescaled mask is below this loses most of its weight."""
Mask = Callable[[jax.Array, int], jax.Array]
"""Weights of pixels made of `(labels, num_classes)`."""
PIXELS_AT_ONCE = 2**18
"""Of a batch: what stays in the cache is counted several times as fast."""


def survey(labels: Iterable[np.ndarray], classes: Sequence[str], window: int | None) -> dict[str, Any]:
    """How common each class is, and how much of its weight the confusion mask leaves.

    Args:
        labels: class ids uint8 [h, w] of any sizes, as large as the network sees them; other ids are void.
        classes: their names; the first is the background. At least two.
        window: side of the mask's window in pixels; None where the objective has no confusion mask.

    Returns:
        A dictionary fit for JSON: `window`, `images` (their number), and for each of `classes`

        - `images`: how many contain the class;
        - `share`: its share of all labelled pixels, 0 to 1;
        - `mask`: the confusion mask's mean over the class's pixels of an image, then over the images that
          contain it; 0 to 1, None without a window or an image;
        - `rescaled_mask`: the same on a scale that does not depend on the number of classes: 1 far from any
          boundary, 0 where two classes mix evenly, below 0 where more of them do.
    """
    masks = () if window is None else (purity(window),)
    pixels, *weights = class_sums(labels, len(classes), masks)
    share = pixels.sum(0) / max(1, pixels.sum())
    mask = mean_over_images(weights[0] if weights else pixels, pixels)
    scaled = rescaled(mask, len(classes))

    def measured(k: int, value: np.ndarray) -> float | None:
        return float(value[k]) if weights and np.isfinite(value[k]) else None

    return {
        "window": window,
        "images": len(pixels),
        "classes": {
            name: {
                "images": int((pixels[:, k] > 0).sum()),
                "share": float(share[k]),
                "mask": measured(k, mask),
                "rescaled_mask": measured(k, scaled),
            }
            for k, name in enumerate(classes)
        },
    }


@cache
def purity(window: int) -> Mask:
    """The confusion mask of a window; the same object each time, so that it is compiled once."""
    return partial(confusion_mask, window=window)


def warnings(survey: Mapping[str, Any]) -> list[str]:
    """One line for each defect class that the confusion mask mutes: which, how much, and what to do."""
    window = survey["window"]
    smaller = "a smaller window, " if window != 3 else ""
    return [
        f"{name}: a confusion mask of window {window} mutes this class (rescaled mean "
        f"{row['rescaled_mask']:.2f}, below {MUTED}), because most of its pixels are close to another class; "
        f"take {smaller}a larger input.size, or the mask's option minimum or preserve_class_mass"
        for name, row in list(survey["classes"].items())[1:]
        if row["rescaled_mask"] is not None and row["rescaled_mask"] < MUTED
    ]


def table(survey: Mapping[str, Any]) -> Table:
    """A survey as a table for the screen."""
    window = survey["window"]
    out = Table(title=f"training labels, {survey['images']} images")
    out.add_column("class")
    for column in ("images", "% of pixels"):
        out.add_column(column, justify="right")
    if window is not None:
        out.caption = "rescaled: 1 far from other classes, 0 where two classes mix evenly"
        out.add_column(f"mean mask, window {window}", justify="right")
        out.add_column("rescaled", justify="right")
    for name, row in survey["classes"].items():
        masks = () if window is None else (_text(row["mask"]), _text(row["rescaled_mask"]))
        out.add_row(name, str(row["images"]), f"{100 * row['share']:.3g}", *masks)
    return out


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def class_sums(labels: Iterable[np.ndarray], num_classes: int, masks: Sequence[Mask]) -> np.ndarray:
    """Pixels of each class in each image, and sums of masks over them.

    Args:
        labels: class ids uint8 [h, w] of any sizes.
        num_classes: ids from this on are void.
        masks: what is summed.

    Returns:
        float64 [1 + masks, images, classes], the pixels first; images in any order.
    """
    parts = [
        np.stack([np.asarray(_class_sums(batch, num_classes, mask), np.float64) for mask in (_one, *masks)])[
            :, :count
        ]
        for batch, count in _batches(labels)
    ]
    return np.concatenate([np.zeros((1 + len(masks), 0, num_classes)), *parts], axis=1)


def _one(labels: jax.Array, num_classes: int) -> jax.Array:
    return jnp.ones(labels.shape)


@partial(jax.jit, static_argnums=(1, 2))
def _class_sums(labels: jax.Array, num_classes: int, mask: Mask) -> jax.Array:
    weights = mask(labels, num_classes)
    return jnp.stack([jnp.sum(weights, (1, 2), where=labels == k) for k in range(num_classes)], -1)


def mean_over_images(sums: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Mean of a mask over a class's pixels of an image, then over the images that show it; nan if none does.

    Args:
        sums: of the mask [images, classes].
        pixels: how many were summed [images, classes].
    """
    present = pixels > 0
    means = np.divide(sums, pixels, out=np.zeros_like(sums), where=present).sum(0)
    return np.where(present.any(0), means / np.maximum(1, present.sum(0)), np.nan)


def rescaled(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """A mean confusion mask where 1 is far from any boundary and 0 where two classes mix evenly.

    Where only two of C classes meet, the mask cannot fall below 1 - log 2 / log C.
    """
    evenly_mixed = 1 - math.log(2) / math.log(num_classes)
    return (mask - evenly_mixed) / (1 - evenly_mixed)


def _batches(labels: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    """Labels in few shapes, so that little is compiled, and how many of a batch's images are real.

    Void at the sides changes nothing, because the mask counts labelled pixels alone.
    """
    waiting: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for label in labels:
        shape = tuple(map(_round_up, label.shape))
        waiting[shape].append(label)
        if len(waiting[shape]) == _batch_size(shape):
            yield _padded(waiting.pop(shape), shape)
    for shape, rest in waiting.items():
        yield _padded(rest, shape)


def _padded(labels: Sequence[np.ndarray], shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    out = np.full((_batch_size(shape), *shape), VOID, np.uint8)
    for place, label in zip(out, labels, strict=False):
        place[: label.shape[0], : label.shape[1]] = label
    return out, len(labels)


def _batch_size(shape: tuple[int, ...]) -> int:
    return max(1, PIXELS_AT_ONCE // math.prod(shape))


def _round_up(side: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: at most half as much again."""
    unit = 1 << max(0, (side - 1).bit_length() - 2)
    return -(-side // unit) * unit
