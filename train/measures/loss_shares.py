"""Shares of the objective and of its gradient, by error, class and boundary."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from balanced_jax.diagnostics import Diagnostics, GroupSums, densities, diagnose, group_sums, means, shares
from train.config import Term
from train.measures.figures import or_none
from train.measures.loss_share_records import (
    DensityRatio,
    GroupShares,
    HistogramShares,
    LossShares,
    LossThresholds,
)
from train.training.objective import Masks, branch_thresholds, term_mask, total_cost

_BRANCHES = ("easy", "critical", "hard")


class LossShareSums(NamedTuple):
    """Sums over the pixels of each image; those of many images are stacked."""

    diagnostics: Diagnostics
    masks: dict[str, jax.Array]
    """By term that has a mask: its sum over the pixels of each class, [images, classes]."""


def loss_share_sums(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> LossShareSums:
    """Return the sums of the cost, its gradient and the masks over groups of pixels.

    Args:
        objective: terms by name.
        logits: [images, height, width, classes].
        labels: [images, height, width]; outside the classes void.
        progress: fraction of the run that is done, 0 to 1; may be traced.
        masks: precomputed masks; None where no term has one.
    """
    num_classes, masks = logits.shape[-1], masks or {}
    weights = {
        name: term_mask(term, labels, num_classes, progress, masks.get(name))
        for name, term in objective.items()
    }
    _, eps_inf, eps_sup = branch_thresholds(objective, progress)
    loss = functools.partial(total_cost, objective, progress=progress, masks=masks)
    classes = jax.nn.one_hot(labels, num_classes, dtype=bool)
    return LossShareSums(
        diagnose(loss, logits, labels, eps_inf=eps_inf, eps_sup=eps_sup),
        {name: group_sums(mask, classes) for name, mask in weights.items() if mask is not None},
    )


def loss_shares(
    sums: LossShareSums, classes: Sequence[str], objective: Mapping[str, Term], progress: float
) -> LossShares:
    """Return the shares of groups of pixels in the sums over images.

    Args:
        sums: of any number of images, as NumPy arrays [images, groups].
        classes: names of the classes.
        objective, progress: those of `loss_share_sums`.
    """
    term, *eps = branch_thresholds(objective, progress)
    eps_inf, eps_sup = (round(float(value), 6) for value in eps)  # as given, not as float32 has them
    by_error, by_branch, by_class, by_boundary = sums.diagnostics
    histogram = shares(by_error)
    loss_ratio, gradient_ratio = (_ratio(*density) for density in densities(by_boundary))
    return LossShares(
        thresholds=LossThresholds(term, eps_inf, eps_sup),
        histogram=HistogramShares(*(list(map(or_none, values)) for values in histogram)),
        error=_group_shares(by_branch, _BRANCHES),
        classes=_group_shares(by_class, classes),
        boundary=_group_shares(by_boundary, ("boundary", "inside")),
        boundary_to_inside=DensityRatio(loss_ratio, gradient_ratio),
        mask={
            name: dict(zip(classes, map(or_none, means(mask, by_class.pixels)), strict=True))
            for name, mask in sums.masks.items()
        },
    )


def _ratio(boundary: np.ndarray, inside: np.ndarray) -> float | None:
    return or_none(float(boundary / inside)) if inside else None


def _group_shares(sums: GroupSums, groups: Sequence[str]) -> dict[str, GroupShares]:
    rows = zip(*shares(sums), strict=True)
    return {group: GroupShares(*map(or_none, row)) for group, row in zip(groups, rows, strict=True)}
