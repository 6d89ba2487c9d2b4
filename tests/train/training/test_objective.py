"""The objective: named terms, their schedules and their checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import balanced_loss, masked_mean, softmax_cross_entropy, softmax_focal_loss
from balanced_jax.masks import (
    balance_mask,
    class_weight_mask,
    confusion_mask,
    fixed_class_weights,
    inverse_weight_mask,
    valid_mask,
)
from train.config import ImageRatio, PixelRatio, Ramp, Term
from train.errors import UserError
from train.training.objective import (
    _term_weights,
    branch_thresholds,
    check_objective,
    find_option,
    term_mask,
    term_sums,
    total_cost,
)


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


def test_a_ramp_is_constant_before_and_after():
    ramp = Ramp(2.0, 4.0, begin=0.25, until=0.75)
    np.testing.assert_allclose([ramp.number(p) for p in (0, 0.25, 0.5, 0.75, 1)], [2, 2, 3, 4, 4])


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
        (Term(softmax_cross_entropy, precomputed_options={"window": 3}), "no precomputed mask"),
        (
            Term(softmax_cross_entropy, precomputed=confusion_mask, precomputed_options={"windows": 3}),
            r"precomputed_options: confusion_mask has no option 'windows'; did you mean window",
        ),
        (
            Term(
                softmax_cross_entropy,
                precomputed=confusion_mask,
                precomputed_options={"minimum": Ramp(0.0, 1.0)},
            ),
            r"objective\.term\.precomputed_options: minimum is a Ramp, but .*; use weights for it",
        ),
        (
            Term(softmax_cross_entropy, weights=inverse_weight_mask),
            r"^objective\.term\.weights: inverse_weight_mask runs on the host .*; give it as precomputed, ",
        ),
        (
            Term(softmax_cross_entropy, precomputed=inverse_weight_mask, precomputed_options={"minimum": -1}),
            r"^objective\.term: minimum must be in \[0, maximum\], got minimum=-1",
        ),
        (
            Term(softmax_cross_entropy, precomputed=confusion_mask, precomputed_options={"window": 4}),
            r"^objective\.term: window must be odd",
        ),
        (
            Term(softmax_cross_entropy, precomputed=lambda labels, num_classes: labels.sum()),
            r"^objective\.term: <lambda> must return weights of the shape of the labels, .* got \(\)$",
        ),
        (Term(masked_mean), "objective"),
        (Term(lambda logits, labels, weights=None: jnp.float32(0)), r"must return a map .* got \(\)"),
        (Term(lambda logits, labels, weights=None: logits), r"must return a map .* got \(1, 16, 16, 2\)"),
    ],
)
def test_a_wrong_term_is_refused_before_any_work(term, message):
    with pytest.raises(UserError, match=message):
        check_objective({"term": term})


def test_numbers_for_each_class_are_checked_once_their_number_is_known():
    weights = {"weights": fixed_class_weights, "weights_options": {"values": (1.0, 9.0, 9.0)}}
    objective = {"a": Term(softmax_focal_loss, options={"alpha": (1, 9, 9)}, **weights)}
    check_objective(objective)
    check_objective(objective, 3)
    with pytest.raises(UserError, match=r"^objective\.a: values must have shape \(4,\), .* got \(3,\)$"):
        check_objective(objective, 4)


@pytest.mark.parametrize("ratio", [ImageRatio(), PixelRatio()])
def test_ratios_are_checked_before_the_data_is_known(ratio):
    options = {"weights": fixed_class_weights, "weights_options": {"values": ratio}}
    check_objective({"a": Term(softmax_focal_loss, options={"alpha": ratio}, **options)})
    wrong = Term(softmax_focal_loss, options={"alpha": ratio, "gamma": -1.0}, **options)
    with pytest.raises(UserError, match=r"^objective\.a: gamma must be at least 0"):
        check_objective({"a": wrong})
    misplaced = Term(softmax_focal_loss, options={"gamma": ratio})
    with pytest.raises(UserError, match=r"^objective\.a: .*gamma"):
        check_objective({"a": misplaced})


def test_an_empty_objective_is_refused():
    with pytest.raises(UserError, match="no terms"):
        check_objective({})


def test_the_name_of_the_auxiliary_term_is_taken():
    with pytest.raises(UserError, match=r"^objective\.auxiliary: this is the name of .*; take another name$"):
        check_objective({"auxiliary": Term(softmax_cross_entropy)})


def test_an_option_is_found_where_it_is_given_or_by_default():
    assert find_option(Term(balanced_loss), "window") == 7
    assert find_option(Term(balanced_loss, options={"window": 3}), "window") == 3
    weighted = Term(softmax_focal_loss, weights=balance_mask, weights_options={"window": 5})
    assert find_option(weighted, "window") == 5
    assert find_option(Term(softmax_focal_loss), "window") is None


def test_the_maps_of_all_terms_add_up_with_their_scales():
    logits, labels = example()
    objective = {
        "ce": Term(softmax_cross_entropy, scale=Ramp(0.0, 2.0)),
        "focal": Term(softmax_focal_loss, scale=3.0),
    }
    expected = softmax_cross_entropy(logits, labels) + 3 * softmax_focal_loss(logits, labels)
    np.testing.assert_allclose(total_cost(objective, logits, labels, 0.5), expected, rtol=1e-6)


def test_the_mask_of_a_term_holds_what_balanced_loss_makes_itself():
    _, labels = example()
    own = balance_mask(labels, 3, beta=0.45, window=3)
    options = {"beta": Ramp(0.9, 0.0), "window": 3}
    alone = Term(balanced_loss, options=options)
    assert _term_weights(alone, labels, 3, 0.5) is None
    np.testing.assert_allclose(np.asarray(term_mask(alone, labels, 3, 0.5)), own, rtol=1e-5)
    with_more = Term(balanced_loss, options=options, weights=balance_mask, weights_options={"window": 5})
    more = balance_mask(labels, 3, window=5)
    np.testing.assert_allclose(np.asarray(term_mask(with_more, labels, 3, 0.5)), own * more, rtol=1e-5)
    other = Term(softmax_cross_entropy, weights=balance_mask, weights_options=options)
    np.testing.assert_allclose(np.asarray(term_mask(other, labels, 3, 0.5)), own, rtol=1e-5)
    assert term_mask(Term(softmax_cross_entropy), labels, 3, 0.5) is None


def test_a_precomputed_mask_multiplies_the_weights():
    _, labels = example()
    term = Term(
        softmax_cross_entropy,
        weights=class_weight_mask,
        precomputed=confusion_mask,
        precomputed_options={"window": 3},
    )
    precomputed = confusion_mask(labels, 3, window=3)
    both = np.asarray(balance_mask(labels, 3, window=3))
    for weights in (_term_weights, term_mask):
        np.testing.assert_allclose(np.asarray(weights(term, labels, 3, 0.5, precomputed)), both, rtol=1e-6)
    assert find_option(term, "window") == 3


def test_thresholds_are_those_of_the_first_term_that_has_them():
    moving = Term(balanced_loss, options={"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.8)})
    plain = Term(softmax_cross_entropy)
    term, *eps = branch_thresholds({"ce": plain, "balanced": moving, "other": Term(balanced_loss)}, 0.5)
    assert term == "balanced"
    np.testing.assert_allclose(eps, [0.15, 0.9], rtol=1e-6)
    assert branch_thresholds({"b": Term(balanced_loss, options={"eps_sup": 0.9})}, 0.5) == ("b", 0.3, 0.9)
    assert branch_thresholds({"ce": plain}, 0.5) == (None, 0.3, 0.7)
