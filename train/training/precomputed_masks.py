"""Masks made once for each training image, in the input pipeline, instead of in every step."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from train.config import Term
from train.data.cache import Mask
from train.data.example import VOID
from train.data.resize import Size, padded
from train.parallel import on_host


def stored_masks(objective: Mapping[str, Term], num_classes: int, canvas: Size) -> dict[str, Mask]:
    """What makes the stored masks of an objective, by the names of their terms.

    Args:
        objective: terms by name.
        num_classes: of the labels.
        canvas: height and width that hold the largest label; every label is filled up to it with void, so
            that a mask is compiled once.

    Returns:
        Functions that turn a label uint8 [h, w] into a mask float16 [h, w], rounded by at most 2**-11 of
        its value.
    """
    return {
        name: stored_mask(term.stored, term.stored_options, num_classes, canvas)
        for name, term in objective.items()
        if term.stored is not None
    }


def stored_mask(mask: Callable, options: Mapping[str, Any], num_classes: int, canvas: Size) -> Mask:
    """What makes one stored mask, by a function `(labels, num_classes, **options)`; the rest as above."""
    make = on_host(lambda labels: mask(labels, num_classes, **options).astype(jnp.float16))

    def stored(label: np.ndarray) -> np.ndarray:
        height, width = label.shape
        # A copy, because a kept slice would keep the whole canvas.
        return make(padded(label, canvas, VOID))[:height, :width].copy()

    return stored
