"""Masks made once for each image, in the input pipeline, instead of in every step."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from train.config import Term
from train.data.cache import MaskFunction
from train.data.example import VOID, Size
from train.data.resize import padded
from train.parallel import compile_for_cpu, on_cpu
from train.training.objective import runs_on_host


def precomputed_masks(
    objective: Mapping[str, Term], num_classes: int, canvas: Size
) -> dict[str, MaskFunction]:
    """Return the functions that make the precomputed masks of an objective, by the names of their terms.

    Args:
        objective: terms by name.
        num_classes: of the labels.
        canvas: height and width that hold the largest label.

    Returns:
        Functions from a label uint8 [h, w] to a mask float32 [h, w]. (float16 would halve the memory, but
        `inverse_weight_mask` reaches 2e5, three times the largest float16.)
    """
    return {
        name: _precomputed_mask(term, num_classes, canvas)
        for name, term in objective.items()
        if term.precomputed is not None
    }


def _precomputed_mask(term: Term, num_classes: int, canvas: Size) -> MaskFunction:
    mask, options = term.precomputed, term.precomputed_options
    assert mask is not None

    def make(labels: Any) -> Any:
        return mask(labels, num_classes, **options)

    if runs_on_host(mask, num_classes, options):
        return on_cpu(lambda label: np.asarray(make(label), np.float32))
    compiled = compile_for_cpu(lambda labels: make(labels).astype(jnp.float32))

    def precomputed(label: np.ndarray) -> np.ndarray:
        height, width = label.shape
        # Padded with void, so that the mask is compiled once for labels of all sizes. A copy, because a slice
        # that is cached would keep the whole canvas in memory.
        return compiled(padded(label, canvas, VOID))[:height, :width].copy()

    return precomputed
