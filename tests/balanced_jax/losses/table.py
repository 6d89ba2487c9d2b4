"""The table of public losses: a row gives a loss the whole battery of `test_battery.py`."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from balanced_jax import losses
from tests.balanced_jax import formulas


def class_indices(rng, shape, num_classes):
    """One label a pixel, a few of them void on either side of the classes."""
    labels = rng.integers(0, num_classes, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([-1, 255], shape), labels).astype(np.int32)


def class_flags(rng, shape, num_classes):
    """For each class of each pixel whether it has it, a few of these entries void, and all of some pixels."""
    flags = rng.integers(0, 2, (*shape, num_classes))
    void = (rng.random(flags.shape) < 0.1) | (rng.random((*shape, 1)) < 0.1)
    return np.where(void, rng.choice([-1, 255], flags.shape), flags).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Row:
    loss: Callable[..., Any]
    formula: Callable[..., Any]
    """Float64 reference of one image, in `formulas.py`."""
    options: tuple[dict[str, Any], ...] = ()
    """Options that get their own comparison with the formula (for three classes); all are in the last."""
    numbers: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Hyper-parameters that may be traced, each with two values."""
    labels: Callable[..., np.ndarray] = class_indices
    """Makes labels of (rng, shape of the map, number of classes)."""
    classes: tuple[int, ...] = (2, 3, 5)
    """Numbers of classes that are compared with the formula."""
    mask_inside: bool = False
    """Whether the loss multiplies by a mask of its own, which is float32 even where logits are float64."""
    region: bool = False
    """Whether it is a loss of regions, whose map counts only as a whole."""

    @property
    def name(self) -> str:
        return self.loss.__name__

    @property
    def multilabel(self) -> bool:
        return self.labels is class_flags

    @functools.cached_property
    def both(self) -> Callable[..., Any]:
        """Map and gradient of (logits, labels, weights, cotangent), compiled once for the whole battery."""
        return compiled(self.loss)


@dataclass(frozen=True, eq=False)
class Case:
    """A loss with some options, for some number of classes."""

    row: Row
    num_classes: int
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.row.name}-{self.options or self.num_classes}"

    @property
    def slow(self) -> bool:
        """Whether it is a slow test: the largest number of classes, and all options but the first."""
        return self.num_classes == self.row.classes[-1] or self.options not in ({}, *self.row.options[:1])

    @functools.cached_property
    def both(self) -> Callable[..., Any]:
        """As `Row.both`, with the options."""
        return compiled(self.row.loss, **self.options) if self.options else self.row.both


def compiled(loss, **options):
    def both(z, y, w, g):
        value, back = jax.vjp(lambda z: loss(z, y, weights=w, **options), z)
        return value, back(g)[0]

    return jax.jit(both)


THRESHOLDS = (
    {"eps_inf": 0.0, "eps_sup": 1},
    {"eps_inf": 0.0},
    {"eps_sup": 1.0},
    {"eps_inf": 0.1, "eps_sup": 0.999},
)
BALANCED = (
    {"beta": 0, "window": 3},
    {"eps_inf": 0.0, "eps_sup": 1},
    {"eps_inf": 0.1, "eps_sup": 0.999, "beta": 0.9, "window": 5},
)
EPS = {"eps_inf": (0.3, 0.1), "eps_sup": (0.7, 1.0)}
ALL = ({"classes": "all"}, {"classes": "all", "smoothing": 0.5})

ROWS = (
    Row(losses.softmax_cross_entropy, formulas.softmax_cross_entropy),
    Row(
        losses.softmax_truncated_cross_entropy,
        formulas.softmax_truncated_cross_entropy,
        options=THRESHOLDS,
        numbers=EPS,
    ),
    Row(
        losses.all_entries_truncated_cross_entropy,
        formulas.all_entries_truncated_cross_entropy,
        options=THRESHOLDS,
        numbers=EPS,
    ),
    Row(
        losses.generalized_cross_entropy,
        formulas.generalized_cross_entropy,
        options=({"q": 1}, {"q": 0.01}),
        numbers={"q": (0.7, 0.2)},
    ),
    Row(
        losses.balanced_loss,
        formulas.balanced_loss,
        options=BALANCED,
        numbers={**EPS, "beta": (0.99, 0.0)},
        mask_inside=True,
    ),
    Row(
        losses.softmax_focal_loss,
        formulas.softmax_focal_loss,
        options=(
            {"gamma": 0},
            {"gamma": 0.5},
            {"alpha": np.array([9, 1, 1], np.float32)},
            {"gamma": 4.0, "alpha": (0.5, 2, 1.5)},
        ),
        numbers={"gamma": (2.0, 0.5), "alpha": ((1.0, 2.0, 3.0), (0.5, 0.5, 1.0))},
    ),
    Row(
        losses.sigmoid_truncated_cross_entropy,
        formulas.sigmoid_truncated_cross_entropy,
        options=THRESHOLDS,
        numbers=EPS,
        labels=class_flags,
        classes=(1, 2, 5),
    ),
    Row(
        losses.sigmoid_balanced_loss,
        formulas.sigmoid_balanced_loss,
        options=BALANCED,
        numbers={**EPS, "beta": (0.99, 0.0)},
        labels=class_flags,
        classes=(1, 2, 5),
        mask_inside=True,
    ),
    Row(
        losses.sigmoid_focal_loss,
        formulas.sigmoid_focal_loss,
        options=({"gamma": 0}, {"gamma": 0.5}, {"gamma": 4.0, "alpha": 0.25}),
        numbers={"gamma": (2.0, 0.5), "alpha": (0.25, 1.0)},
        labels=class_flags,
        classes=(1, 2, 5),
    ),
    Row(
        losses.dice_loss,
        formulas.dice_loss,
        options=ALL,
        numbers={"smoothing": (0.1, 0.5)},
        region=True,
    ),
    Row(
        losses.iou_loss,
        formulas.iou_loss,
        options=ALL,
        numbers={"smoothing": (0.1, 0.5)},
        region=True,
    ),
    Row(
        losses.tversky_loss,
        formulas.tversky_loss,
        options=({"alpha": 0.3, "beta": 0.7}, {"alpha": 2, "beta": 0.1, **ALL[1]}),
        numbers={"smoothing": (0.1, 0.5), "alpha": (0.5, 0.1), "beta": (0.5, 2.0)},
        region=True,
    ),
    Row(
        losses.focal_tversky_loss,
        formulas.focal_tversky_loss,
        options=({"gamma": 0.5, **ALL[0]}, {"alpha": 0.3, "beta": 0.7, "gamma": 2, **ALL[1]}),
        numbers={
            "smoothing": (0.1, 0.5),
            "alpha": (0.5, 0.1),
            "beta": (0.5, 2.0),
            "gamma": (0.75, 1.5),
        },
        region=True,
    ),
    Row(losses.generalized_dice_loss, formulas.generalized_dice_loss, region=True),
    Row(
        losses.lovasz_softmax_loss,
        formulas.lovasz_softmax_loss,
        options=({"classes": "all"},),
        region=True,
    ),
)

CASES = (
    *(Case(row, num_classes, {}) for row in ROWS for num_classes in row.classes),
    *(Case(row, 3, options) for row in ROWS for options in row.options),
)
