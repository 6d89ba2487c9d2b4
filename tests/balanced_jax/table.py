"""The table of public losses: a row gives a loss the whole battery of `test_losses.py`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from balanced_jax import losses
from tests.balanced_jax import formulas


def class_indices(rng, shape, num_classes):
    """One label a pixel, a few of them void on either side of the classes."""
    labels = rng.integers(0, num_classes, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([-1, 255], shape), labels).astype(np.int32)


@dataclass(frozen=True)
class Row:
    loss: Callable[..., Any]
    formula: Callable[..., Any]
    """Float64 reference of one image, in `formulas.py`."""
    options: tuple[dict[str, Any], ...] = ()
    """Options that get their own comparison with the formula (for three classes)."""
    numbers: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Hyper-parameters that may be traced, each with two values."""
    labels: Callable[..., np.ndarray] = class_indices
    """Makes labels of (rng, shape of the map, number of classes)."""
    mask_inside: bool = False
    """Whether the loss multiplies by a mask of its own, which is float32 even where logits are float64."""

    @property
    def name(self) -> str:
        return self.loss.__name__


ROWS = (
    Row(losses.softmax_cross_entropy, formulas.softmax_cross_entropy),
    Row(
        losses.softmax_truncated_cross_entropy,
        formulas.softmax_truncated_cross_entropy,
        options=(
            {"eps_inf": 0.0, "eps_sup": 1},
            {"eps_inf": 0.0},
            {"eps_sup": 1.0},
            {"eps_inf": 0.1, "eps_sup": 0.999},
        ),
        numbers={"eps_inf": (0.3, 0.1), "eps_sup": (0.7, 1.0)},
    ),
    Row(
        losses.softmax_focal_loss,
        formulas.softmax_focal_loss,
        options=(
            {"gamma": 0},
            {"gamma": 0.5},
            {"gamma": 4.0, "alpha": (0.5, 2, 1.5)},
            {"alpha": np.array([9, 1, 1], np.float32)},
        ),
        numbers={"gamma": (2.0, 0.5), "alpha": ((1.0, 2.0, 3.0), (0.5, 0.5, 1.0))},
    ),
    Row(
        losses.dice_loss,
        formulas.dice_loss,
        options=({"classes": "all"}, {"classes": "all", "smoothing": 0.5}),
        numbers={"smoothing": (0.1, 0.5)},
    ),
    Row(
        losses.balanced_loss,
        formulas.balanced_loss,
        options=({"beta": 0, "window": 3}, {"eps_inf": 0.0, "eps_sup": 1, "beta": 0.9, "window": 5}),
        numbers={"eps_inf": (0.3, 0.1), "eps_sup": (0.7, 1.0), "beta": (0.99, 0.0)},
        mask_inside=True,
    ),
)
