"""Masks made once for each training image, in the input pipeline, instead of in every step."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from train.config import Term
from train.data.cache import MaskFunction
from train.data.example import VOID, Size
from train.data.resize import padded
from train.parallel import compile_for_cpu


def precomputed_masks(
    objective: Mapping[str, Term], num_classes: int, canvas: Size
) -> dict[str, MaskFunction]:
    """Return the functions that make the precomputed masks of an objective, by the names of their terms.

    Args:
        objective: terms by name.
        num_classes: of the labels.
        canvas: height and width that hold the largest label. Every label is padded to the canvas with void,
            so that a mask is compiled once.

    Returns:
        Functions from a label uint8 [h, w] to a mask float16 [h, w], rounded by at most 2**-11 of its value.
    """
    return {
        name: _precomputed_mask(term.precomputed, term.precomputed_options, num_classes, canvas)
        for name, term in objective.items()
        if term.precomputed is not None
    }


def _precomputed_mask(
    mask: Callable, options: Mapping[str, Any], num_classes: int, canvas: Size
) -> MaskFunction:
    make = compile_for_cpu(lambda labels: mask(labels, num_classes, **options).astype(jnp.float16))

    def precomputed(label: np.ndarray) -> np.ndarray:
        height, width = label.shape
        # A copy, because a cached slice would keep the whole canvas in memory.
        return make(padded(label, canvas, VOID))[:height, :width].copy()

    return precomputed
