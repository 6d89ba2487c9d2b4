"""The objective: named terms, their schedules and their checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import balanced_loss, masked_mean, softmax_cross_entropy, softmax_focal_loss
from balanced_jax.masks import balance_mask, valid_mask
from train.config import Ramp, Term
from train.errors import UserError
from train.objective import check_objective, find_option, term_sums


def example():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 8, 8))
    labels[1, :4] = 255
    labels[2] = 255
    return rng.normal(size=(4, 8, 8, 3)).astype(np.float32), labels


def test_a_sum_over_images_is_the_librarys_mean_times_their_number():
    logits, labels = example()
    sums = term_sums({"ce": Term(softmax_cross_entropy, scale=0.5)}, logits, labels, 0.0)
    mean = masked_mean(softmax_cross_entropy(logits, labels), valid_mask(labels, 3))
    np.testing.assert_allclose(sums["ce"], 0.5 * 3 * mean, rtol=1e-6)  # one of the four images is void


@pytest.mark.parametrize(("progress", "beta"), [(0.0, 0.9), (0.25, 0.45), (0.5, 0.0), (1.0, 0.0)])
def test_weights_and_ramps_reach_their_functions(progress, beta):
    logits, labels = example()
    term = Term(
        softmax_cross_entropy,
        weights=balance_mask,
        weights_options={"beta": Ramp(0.9, 0.0, until=0.5), "window": 3},
    )
    mask = balance_mask(labels, 3, beta=beta, window=3)
    expected = term_sums({"x": Term(softmax_cross_entropy)}, logits, labels, 0.0)
    assert expected["x"] > 0
    actual = jax.jit(lambda p: term_sums({"x": term}, logits, labels, p))(progress)["x"]
    mean = masked_mean(softmax_cross_entropy(logits, labels, weights=mask), valid_mask(labels, 3))
    np.testing.assert_allclose(actual, 3 * mean, rtol=1e-5)  # beta passes through float32 on the way


def test_a_ramp_stands_still_before_and_after():
    ramp = Ramp(2.0, 4.0, begin=0.25, until=0.75)
    np.testing.assert_allclose([ramp.at(p) for p in (0, 0.25, 0.5, 0.75, 1)], [2, 2, 3, 4, 4])


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (
            Term(balanced_loss, options={"betta": 0.9}),
            r"balanced_loss has no option 'betta'; did you mean beta",
        ),
        (Term(softmax_cross_entropy, options={"x": 1}), r"has no option 'x'; it takes none"),
        (Term(balanced_loss, options={"window": 4}), r"objective\.term: .*window"),
        (Term(balanced_loss, options={"eps_inf": 0.8}), r"objective\.term: .*eps_inf"),
        (Term(softmax_cross_entropy, weights_options={"beta": 0.9}), "no weights function"),
        (
            Term(softmax_cross_entropy, weights=balance_mask, weights_options={"windows": 3}),
            r"weights_options: balance_mask has no option 'windows'; did you mean window",
        ),
        (Term(masked_mean), "objective"),
        (Term(lambda logits, labels, weights=None: jnp.float32(0)), "objective"),
    ],
)
def test_a_wrong_term_is_refused_before_any_work(term, message):
    with pytest.raises(UserError, match=message):
        check_objective({"term": term})


def test_an_empty_objective_is_refused():
    with pytest.raises(UserError, match="no terms"):
        check_objective({})


def test_an_option_is_found_where_it_is_given_or_by_default():
    assert find_option(Term(balanced_loss), "window") == 7
    assert find_option(Term(balanced_loss, options={"window": 3}), "window") == 3
    weighted = Term(softmax_focal_loss, weights=balance_mask, weights_options={"window": 5})
    assert find_option(weighted, "window") == 5
    assert find_option(Term(softmax_focal_loss), "window") is None
