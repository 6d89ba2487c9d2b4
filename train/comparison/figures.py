"""Figures of the rows of a comparison: mean and deviation over seeds, and differences to a reference row."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from balanced_jax.metrics import ConfusionCounts
from train.comparison.records import Difference, RowFigures, Spread
from train.errors import UserError
from train.measures.bootstrap import (
    RESAMPLES,
    defect_mean,
    images_that_show,
    interval,
    resample_weights,
    resampled_ious,
)
from train.measures.figures import defect_means, figures, or_none
from train.measures.records import ClassFigures
from train.run.results import ImageCounts

BySeed = Mapping[str, ImageCounts]
"""Counts of the images of all folds, by seed."""

Rule = Callable[[ImageCounts], ConfusionCounts]
"""Selects the counts of one decision rule."""


def join_folds(folds: Sequence[ImageCounts]) -> ImageCounts:
    """Return the counts of the images of all folds as those of one part."""
    first = folds[0]
    if len(folds) == 1:
        return first
    return ImageCounts(
        images=tuple(name for fold in folds for name in fold.images),
        groups=tuple(name for fold in folds for name in fold.groups),
        classes=first.classes,
        most_probable=_concatenate([fold.most_probable for fold in folds]),
        decided=_concatenate([fold.decided for fold in folds]),
    )


def row_figures(row: BySeed, reference: BySeed | None, rule: Rule) -> RowFigures:
    """Return the figures of a row under one decision rule.

    Args:
        row: of at least one seed.
        reference: the row that the difference refers to; None for no difference.
        rule: of the decision.

    Raises:
        UserError: the row and its reference were evaluated on different images.
    """
    by_seed = [figures(rule(counts), counts.classes) for counts in row.values()]
    means = [defect_means(seed) for seed in by_seed]

    def spread(figure: Callable[[ClassFigures], float | None]) -> Spread:
        return _spread([figure(mean) for mean in means])

    return RowFigures(
        iou=spread(lambda mean: mean.iou.dataset),
        present=spread(lambda mean: mean.iou.present),
        union=spread(lambda mean: mean.iou.union),
        all=spread(lambda mean: mean.iou.all),
        precision=spread(lambda mean: mean.precision),
        recall=spread(lambda mean: mean.recall),
        classes={
            name: _spread([seed.classes[name].iou.dataset for seed in by_seed])
            for name in list(by_seed[0].classes)[1:]
        },
        difference=None if reference is None else difference(row, reference, rule),
    )


def difference(row: BySeed, reference: BySeed, rule: Rule) -> Difference:
    """Return the mean data-set IoU of a row minus that of the reference, over the seeds that both have.

    Each resample draws groups of images, the same for both rows and all seeds, and seeds, the same for both
    rows, so that what makes an image or a seed easy for both cancels.

    Raises:
        UserError: the two were evaluated on different images.
    """
    seeds = [seed for seed in row if seed in reference]
    if not seeds:
        return Difference(0, None, None)
    pairs = [(row[seed], reference[seed]) for seed in seeds]
    images, groups = pairs[0][0].images, pairs[0][0].groups
    for counts in (counts for pair in pairs for counts in pair):
        if counts.images != images or counts.groups != groups:
            raise UserError(
                "the cells of a comparison were evaluated on different images, so that their figures cannot "
                "be compared; remove the cells of the other data"
            )
    weights = resample_weights(groups)
    # [seeds, resamples]
    differences = np.stack(
        [
            defect_mean(resampled_ious(rule(a), weights)) - defect_mean(resampled_ious(rule(b), weights))
            for a, b in pairs
        ]
    )
    drawn = np.random.default_rng(1).integers(len(seeds), size=(RESAMPLES, len(seeds)))
    resampled = differences[drawn, np.arange(RESAMPLES)[:, None]].mean(1)
    shown = np.any([images_that_show(rule(c))[:, 1:].any(1) for pair in pairs for c in pair], axis=0)
    values = [_headline(rule(a), a.classes) - _headline(rule(b), b.classes) for a, b in pairs]
    mean = or_none(float(np.mean(values)))
    return Difference(len(seeds), mean, None if mean is None else interval(resampled, groups, shown))


def _concatenate(counts: Sequence[ConfusionCounts]) -> ConfusionCounts:
    return jax.tree.map(lambda *x: np.concatenate(x), *counts)


def _headline(counts: ConfusionCounts, classes: Sequence[str]) -> float:
    headline = figures(counts, classes).headline
    return math.nan if headline is None else headline


def _spread(values: Sequence[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    return Spread(
        mean=statistics.fmean(known) if known else None,
        deviation=statistics.stdev(known) if len(known) > 1 else None,
    )
