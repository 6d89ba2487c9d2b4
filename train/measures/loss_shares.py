"""Who holds the objective of a run, epoch by epoch: what a line of metrics.jsonl says about it."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from balanced_jax.diagnostics import Diagnostics, Holdings, densities, diagnose, group_sums, means, shares
from train.config import Term
from train.measures.figures import or_none
from train.training.objective import term_mask, thresholds, total_cost

BRANCHES = ("easy", "critical", "hard")


class Findings(NamedTuple):
    """Sums of each image; those of many are stacked."""

    diagnostics: Diagnostics
    masks: dict[str, jax.Array]
    """By term, for those that have a mask: its sum over the pixels of each class, [images, classes]."""


def findings(objective: Mapping[str, Term], logits, labels, progress) -> Findings:
    """Who holds the sum of all terms.

    Args:
        objective: terms by name.
        logits: [images, height, width, classes].
        labels: [images, height, width]; outside the classes void.
        progress: share of the run that is done, 0 to 1; may be traced.
    """
    num_classes = logits.shape[-1]
    masks = {name: term_mask(term, labels, num_classes, progress) for name, term in objective.items()}
    _, eps_inf, eps_sup = thresholds(objective, progress)
    loss = functools.partial(total_cost, objective, progress=progress)
    classes = jax.nn.one_hot(labels, num_classes, dtype=bool)
    return Findings(
        diagnose(loss, logits, labels, eps_inf=eps_inf, eps_sup=eps_sup),
        {name: group_sums(mask, classes) for name, mask in masks.items() if mask is not None},
    )


def summary(
    found: Findings, classes: Sequence[str], objective: Mapping[str, Term], progress: float
) -> dict[str, Any]:
    """Findings as they stand in a line of metrics.jsonl.

    Args:
        found: of any number of images, as NumPy arrays [images, groups].
        classes: names of the classes.
        objective: terms by name.
        progress: as the findings were made with.

    Returns:
        `thresholds`: what divides easy from critical and critical from hard, and the term that says so (None:
        none does, and the paper's are taken); the shares of the `pixels`, the `loss` and the `gradient` of
        each range of the error, in order, under `histogram`, and of each group of pixels under `error`,
        `classes` and `boundary`; under `boundary_to_inside` how many times as much `loss` and `gradient`
        a boundary pixel holds as one inside; under `mask`, for each term that has one, its mean over the
        pixels of each class. None where there is nothing.
    """
    term, *eps = thresholds(objective, progress)
    eps_inf, eps_sup = (round(float(value), 6) for value in eps)  # as given, not as float32 has it
    by_error, by_branch, by_class, by_boundary = found.diagnostics
    return {
        "thresholds": {"term": term, "eps_inf": eps_inf, "eps_sup": eps_sup},
        "histogram": {k: list(map(or_none, v)) for k, v in shares(by_error)._asdict().items()},
        "error": _shares(by_branch, BRANCHES),
        "classes": _shares(by_class, classes),
        "boundary": _shares(by_boundary, ("boundary", "inside")),
        "boundary_to_inside": dict(
            zip(("loss", "gradient"), (_ratio(density) for density in densities(by_boundary)), strict=True)
        ),
        "mask": {
            name: dict(zip(classes, map(or_none, means(sums, by_class.pixels)), strict=True))
            for name, sums in found.masks.items()
        },
    }


def _ratio(of_two: np.ndarray) -> float | None:
    return or_none(of_two[0] / of_two[1]) if of_two[1] else None


def _shares(held: Holdings, groups: Sequence[str]) -> dict[str, dict[str, float | None]]:
    by_kind = shares(held)._asdict()
    return {
        group: {kind: or_none(values[i]) for kind, values in by_kind.items()}
        for i, group in enumerate(groups)
    }
