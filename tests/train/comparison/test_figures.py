"""Figures of rows: spreads over seeds, folds joined, differences by a paired bootstrap."""

import dataclasses

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts, iou
from train.comparison.figures import difference, join_folds, row_figures
from train.errors import UserError
from train.measures.bootstrap import RESAMPLES, resample_weights
from train.run.results import ImageCounts

CLASSES = ("background", "crack", "pit")
IMAGES = 12


def image_counts(seed: int, images: int = IMAGES, better: int = 0) -> ImageCounts:
    """Random counts; `better` true positives more in each image."""
    values = np.random.default_rng(seed).integers(1, 100, (3, images, len(CLASSES)))
    counts = ConfusionCounts(values[0] + better, values[1], values[2])
    return ImageCounts(
        images=tuple(f"{i}" for i in range(images)),
        groups=tuple(f"{i // 2}" for i in range(images)),
        classes=CLASSES,
        most_probable=counts,
        decided=ConfusionCounts(*(count + 5 for count in counts)),
    )


def rule(counts: ImageCounts) -> ConfusionCounts:
    return counts.most_probable


def headline(counts: ConfusionCounts, weights: np.ndarray | None = None) -> float:
    repeated = counts if weights is None else ConfusionCounts(*(c.repeat(weights, axis=0) for c in counts))
    return float(iou(repeated, "dataset")[1:].mean())


def test_figures_are_means_and_deviations_over_seeds():
    row = {"0": image_counts(0), "1": image_counts(1), "2": image_counts(2)}
    result = row_figures(row, None, rule)
    values = [headline(c.most_probable) for c in row.values()]
    assert result.iou.mean == pytest.approx(np.mean(values))
    assert result.iou.deviation == pytest.approx(np.std(values, ddof=1))
    pits = [iou(c.most_probable, "dataset")[2] for c in row.values()]
    assert result.classes["pit"].mean == pytest.approx(np.mean(pits))
    assert list(result.classes) == ["crack", "pit"]
    assert result.difference is None
    decided = row_figures(row, None, lambda counts: counts.decided)
    assert decided.iou.mean == pytest.approx(np.mean([headline(c.decided) for c in row.values()]))


def test_one_seed_has_no_deviation():
    assert row_figures({"0": image_counts(0)}, None, rule).iou.deviation is None


def test_the_difference_is_that_of_equal_draws_of_groups_and_seeds():
    row, reference = ({str(s): image_counts(10 * s + k, better=20 * k) for s in range(3)} for k in (1, 0))
    result = difference(row, reference, rule)
    by_seed = np.array(
        [
            [
                headline(row[s].most_probable, w) - headline(reference[s].most_probable, w)
                for w in resample_weights(row[s].groups).astype(int)
            ]
            for s in row
        ]
    )
    means = [headline(row[s].most_probable) - headline(reference[s].most_probable) for s in row]
    assert result.mean == pytest.approx(np.mean(means))
    assert result.seeds == 3
    # The seeds of each resample, drawn again independently: the interval may differ by its own noise alone.
    draws = np.random.default_rng(7).integers(3, size=(RESAMPLES, 3))
    resampled = by_seed[draws, np.arange(RESAMPLES)[:, None]].mean(1)
    expected = np.percentile(resampled, (2.5, 97.5))
    assert result.interval == pytest.approx(expected, abs=0.3 * np.ptp(expected))
    assert result.interval is not None
    assert result.mean is not None
    assert result.interval[0] < result.mean < result.interval[1]


def test_with_one_seed_only_groups_are_drawn():
    row, reference = {"0": image_counts(0, better=9)}, {"0": image_counts(1)}
    result = difference(row, reference, rule)
    resampled = [
        headline(row["0"].most_probable, w) - headline(reference["0"].most_probable, w)
        for w in resample_weights(row["0"].groups).astype(int)
    ]
    assert result.interval == pytest.approx(np.percentile(resampled, (2.5, 97.5)))


def test_what_makes_images_hard_for_both_rows_cancels():
    row, reference = {"0": image_counts(0, better=3)}, {"0": image_counts(0)}
    low, _ = difference(row, reference, rule).interval or (0, 0)
    assert low > 0  # each image is better by three pixels, though images differ by far more


def test_only_seeds_of_both_rows_are_compared():
    row, reference = {s: image_counts(int(s)) for s in "012"}, {s: image_counts(int(s)) for s in "13"}
    result = difference(row, reference, rule)
    assert (result.seeds, result.mean, result.interval) == (1, 0, (0, 0))
    assert difference({"0": image_counts(0)}, {"1": image_counts(0)}, rule).mean is None


def test_folds_are_counted_as_one_part():
    folds = [image_counts(0, 4), image_counts(1, 6)]
    joined = join_folds(folds)
    assert len(joined.images) == len(joined.groups) == 10
    both = row_figures({"0": joined}, None, rule)
    expected = [np.concatenate(c) for c in zip(*(f.most_probable for f in folds), strict=True)]
    assert both.iou.mean == pytest.approx(headline(ConfusionCounts(*expected)))
    assert join_folds(folds[:1]) is folds[0]


def test_rows_of_different_images_are_not_compared():
    with pytest.raises(UserError, match="different images"):
        difference({"0": image_counts(0)}, {"0": image_counts(0, 10)}, rule)


def test_no_iou_gives_no_difference():
    nothing = ConfusionCounts(*(np.zeros((6, 3), int) for _ in range(3)))
    false_alarms = nothing._replace(false_positives=np.ones((6, 3), int))
    row, reference = (
        dataclasses.replace(image_counts(0, 6), most_probable=counts) for counts in (nothing, false_alarms)
    )
    result = difference({"0": row, "1": image_counts(1, 6)}, {"0": reference, "1": image_counts(2, 6)}, rule)
    assert (result.mean, result.interval) == (None, None)
    assert difference({"0": row}, {"0": reference}, rule).interval is None


def test_groups_that_cannot_differ_give_no_interval():
    alone = image_counts(0, 2)  # both images are of one group
    assert difference({"0": alone}, {"0": image_counts(1, 2)}, rule).interval is None
