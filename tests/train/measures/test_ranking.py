"""Average precision and image scores, against definitions written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.measures.bootstrap import resample_weights
from train.measures.ranking import average_precision, image_level, image_scores
from train.measures.records import RankingFigures


def by_thresholds(scores: np.ndarray, positive: np.ndarray) -> float:
    """Precision times the rise of recall at each threshold, from the highest down."""
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        said = [
            is_positive for score, is_positive in zip(scores, positive, strict=True) if score >= threshold
        ]
        recall = sum(said) / positive.sum()
        area += (recall - recall_before) * sum(said) / len(said)
        recall_before = recall
    return area


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distinct", [2, 7, 1000])
def test_average_precision_is_the_area_over_all_thresholds(seed, distinct):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, distinct, 40) / 7 - 3
    positive = rng.random(40) < 0.3
    assert average_precision(scores, positive) == pytest.approx(by_thresholds(scores, positive), abs=1e-12)


def test_weights_count_an_image_so_many_times():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 30), rng.random(30) < 0.4
    weights = rng.integers(0, 4, (6, 30)).astype(float)
    weights[5] = ~positive  # no positive image is left
    result = average_precision(scores, positive, weights)
    for row, value in zip(weights[:5].astype(int), result, strict=False):
        repeated = by_thresholds(scores.repeat(row), positive.repeat(row))
        assert value == pytest.approx(repeated, abs=1e-12)
    assert np.isnan(result[5])


def test_a_perfect_order_scores_1_and_equal_scores_the_share_of_positives():
    positive = np.array([True, False, True, False, False])
    assert average_precision(np.array([5, 1, 4, 3, 2]), positive) == 1
    assert average_precision(np.zeros(5), positive) == pytest.approx(0.4)


def test_without_a_positive_image_there_is_none():
    assert np.isnan(average_precision(np.array([1.0, 2.0]), np.zeros(2, bool)))
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0, bool)))


def test_scores_are_log_odds_of_the_largest_probabilities_over_valid_pixels():
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((3, 4, 5, 3)).astype(np.float32)
    valid = rng.random((3, 4, 5)) < 0.5
    valid[2] = False
    exact = np.exp(logits.astype(float))
    exact /= exact.sum(-1, keepdims=True)
    exact[..., 0] = 1 - exact[..., 0]
    result = np.asarray(image_scores(logits, valid))
    for i in range(2):
        largest = exact[i][valid[i]].max(0)
        np.testing.assert_allclose(result[i], np.log(largest / (1 - largest)), rtol=1e-5, atol=1e-5)
    assert (result[2] == -np.inf).all()


def test_scores_tell_apart_what_rounds_to_certainty():
    logits = jnp.array([[[[-20.0, 20.0]]], [[[-30.0, 30.0]]], [[[-1e4, 1e4]]]])
    assert jax.nn.softmax(logits)[0, 0, 0, 1] == jax.nn.softmax(logits)[1, 0, 0, 1] == 1
    result = image_scores(logits, np.ones((3, 1, 1), bool))
    np.testing.assert_allclose(result, [[40, 40], [60, 60], [2e4, 2e4]])
    even = image_scores(jnp.zeros((1, 1, 2)), np.ones((1, 1), bool))
    np.testing.assert_allclose(even, [0, 0], atol=1e-6)


CLASSES = ("background", "crack", "pit")


def test_images_are_ranked_by_class_and_by_any_defect():
    scores = np.array([[9, 9, 0], [8, 1, 8], [7, 3, 3], [1, 0, 1], [0, 2, 2]])
    result = image_level(scores, [(0, 1), (2,), (0,), (0, 1, 2), (0,)], "abcde", CLASSES)
    assert result.images == 5
    assert result.any_defect.positive == 3
    assert result.any_defect.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)
    crack, pit = result.classes["crack"], result.classes["pit"]
    assert crack.positive == pit.positive == 2
    assert crack.average_precision == pytest.approx((1 + 2 / 5) / 2)
    assert pit.average_precision == pytest.approx((1 + 2 / 4) / 2)
    for row in (result.any_defect, crack, pit):
        assert row.interval is not None
        assert row.average_precision is not None
        low, high = row.interval
        assert 0 < low < row.average_precision < high <= 1
    assert result.any_defect.interval != crack.interval


def test_a_class_that_one_group_shows_has_no_interval():
    scores = np.array([[9, 9, 0], [8, 1, 8], [7, 3, 9]])
    result = image_level(scores, [(0, 1), (0, 2), (0, 2)], "aab", CLASSES)
    assert result.classes["crack"].interval is None
    assert result.classes["pit"].interval == (1, 1)


def test_an_image_of_void_alone_is_neither_positive_nor_negative():
    scores = np.array([[2.0, 2, 0], [-np.inf, -np.inf, -np.inf], [1, 1, 0]])
    result = image_level(scores, [(0,), (), (0, 1)], "abc", CLASSES)
    assert result.images == 2
    assert result.any_defect == RankingFigures(1, 0.5, None)


@pytest.mark.parametrize("shown", [[(0,), (0,)], [(), ()]])
def test_without_a_defect_there_is_no_average_precision(shown):
    result = image_level(np.zeros((2, 3)), shown, "ab", CLASSES)
    nothing = RankingFigures(0, None, None)
    assert result.any_defect == nothing
    assert result.classes == {"crack": nothing, "pit": nothing}


def test_an_interval_is_of_percentiles_over_resamples_that_hold_a_positive_image():
    scores = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    groups = ["b", "a", "b", "c", "a", "d"]
    shown = [(1,), (0,), (0,), (1,), (0,), (0,)]
    result = image_level(np.stack([scores, scores], 1), shown, groups, CLASSES[:2]).classes["crack"]
    values = average_precision(scores, np.array([1 in ids for ids in shown]), resample_weights(groups))
    assert np.isnan(values).any()
    assert result.interval == pytest.approx(np.nanpercentile(values, (2.5, 97.5)))
