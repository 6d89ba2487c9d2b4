"""The battery: values and gradients of every public loss against its float64 formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from balanced_jax import losses
from balanced_jax.masks import boundary_mask
from tests.balanced_jax import formulas
from tests.balanced_jax.losses.examples import SHAPE, example, expected, without
from tests.balanced_jax.losses.table import CASES, ROWS, Case
from tests.balanced_jax.tolerance import assert_close, assert_gradient_close_at_each_pixel

every_loss = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def comparisons(cases):
    return pytest.mark.parametrize(
        "case",
        [pytest.param(case, id=str(case), marks=pytest.mark.slow if case.slow else ()) for case in cases],
        scope="module",  # the tests of a case follow each other and share its compiled function
    )


every_comparison = comparisons(CASES)
# Float32 does not know the order of errors that round to 1, on which the gradient of Lovász depends, and the
# digits of small weights of the masks that a loss makes. The derivative of softmax, which region losses of
# three classes and more take, cancels for the predicted class: see benchmarks/tried.md.
every_comparison_of_digits = comparisons(
    [
        case
        for case in CASES
        if case.row.name != "lovasz_softmax_loss"
        and not case.row.mask_inside
        and not (case.row.region and case.num_classes > 2)
    ]
)
every_multilabel_loss = pytest.mark.parametrize(
    "row", [r for r in ROWS if r.multilabel], ids=lambda row: row.name
)


def test_the_table_holds_every_public_loss_of_logits():
    of_probabilities = {name for name in losses.__all__ if name.endswith("_with_probabilities")}
    others = {"masked_mean", "truncated_cross_entropy", *of_probabilities}
    assert {row.name for row in ROWS} == set(losses.__all__) - others


def check(case, logits, labels, weights, cotangent, gradient_scale=None):
    """Map and gradient are those of the formula."""
    value, gradient = case.both(logits, labels, weights, cotangent)
    value64, gradient64 = expected(case.row, logits, labels, weights, cotangent, **case.options)
    assert value.dtype == gradient.dtype == jnp.float32
    assert_close(value, value64, logits)
    assert_close(gradient, gradient64, logits if gradient_scale is None else gradient_scale)


@every_comparison
@pytest.mark.parametrize("weighted", [False, True])
def test_map_and_gradient_are_those_of_the_formula(case, weighted):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    check(case, logits, labels, weights if weighted else np.ones_like(weights), cotangent)


@every_loss
def test_weights_of_1_change_nothing(row):
    logits, labels, _, cotangent = example(row)
    weighted, _ = row.both(logits, labels, np.ones(SHAPE, np.float32), cotangent)
    assert_close(jax.jit(row.loss)(logits, labels), weighted)


@every_loss
def test_a_boolean_mask_weights_as_its_numbers_do(row):
    logits, labels, _, cotangent = example(row)
    mask = boundary_mask(labels[..., 0] if row.multilabel else labels, 3)
    assert mask.any()
    assert not mask.all()
    weighted = row.both(logits, labels, mask, cotangent)
    expected = row.both(logits, labels, mask.astype(jnp.float32), cotangent)
    jax.tree.map(assert_close, weighted, expected)
    jax.eval_shape(row.both, logits, labels, mask.astype(jnp.int8), cotangent)


@every_loss
def test_curvature_is_that_of_the_formula(row):
    logits, labels, weights, cotangent = example(row)
    direction = np.random.default_rng(1).normal(size=logits.shape)

    def gradient(z):
        return row.both(z, labels, weights, cotangent)[1]

    curvature = jax.jit(jax.grad(lambda z: jnp.vdot(gradient(z), direction.astype(np.float32))))(logits)
    ahead, behind = (
        expected(row, logits + step * direction, labels, weights, cotangent)[1] for step in (1e-5, -1e-5)
    )
    assert_close(curvature, (ahead - behind) / 2e-5, logits)


@every_loss
def test_void_pixels_are_as_if_cut_off(row):
    logits, labels, weights, cotangent = example(row, shape=(2, 5, 9))
    void = np.broadcast_to(np.arange(9) >= 6, labels.shape[:3])
    weights = np.where(void, np.nan, weights)

    value, gradient = row.both(logits, without(labels, void), weights, cotangent)
    kept, kept_gradient = row.both(*(array[:, :, :6] for array in (logits, labels, weights, cotangent)))
    assert_close(value[:, :, :6], kept, logits)
    assert_close(gradient[:, :, :6], kept_gradient, logits)
    assert (value[:, :, 6:] == 0).all()
    assert (gradient[:, :, 6:] == 0).all()


@every_loss
@pytest.mark.parametrize("weights", [None, np.full(SHAPE, np.nan, np.float32)], ids=["", "weights"])
def test_nothing_but_void_costs_nothing(row, weights):
    logits, labels, _, cotangent = example(row)
    labels = without(labels, np.ones(SHAPE, bool))
    value, gradient = row.both(logits, labels, weights, cotangent)
    assert (value == 0).all()
    assert (gradient == 0).all()


@every_loss
def test_weights_of_0_everywhere_cost_nothing(row):
    logits, labels, _, cotangent = example(row)
    value, gradient = row.both(logits, labels, np.zeros(SHAPE, np.float32), cotangent)
    assert (value == 0).all()
    assert (gradient == 0).all()


@every_comparison
def test_a_weight_of_0_at_a_label_that_is_ruled_out_costs_nothing(case):
    """Where the cost is infinite: under cross entropy and focal losses, and for an eps_sup of 1."""
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    is_label = labels == 1 if case.row.multilabel else labels[..., None] == np.arange(case.num_classes)
    unweighted = np.random.default_rng(1).random(SHAPE) < 0.3
    weights = np.where(unweighted, 0, weights).astype(np.float32)
    ruled_out = np.where(is_label & unweighted[..., None], -np.inf, logits).astype(np.float32)
    value, gradient = case.both(ruled_out, labels, weights, cotangent)
    plain, plain_gradient = case.both(logits, labels, weights, cotangent)
    assert (value[unweighted] == 0).all()
    assert (gradient[unweighted] == 0).all()
    assert_close(value, plain)
    assert_close(gradient, plain_gradient)


@pytest.mark.parametrize("row", [r for r in ROWS if not r.region], ids=lambda row: row.name)
def test_the_gradient_at_a_weight_of_0_is_the_cost(row):
    logits, labels, _, _ = example(row)
    by_weights = jax.grad(lambda w: row.loss(logits, labels, weights=w).sum())(np.zeros(SHAPE, np.float32))
    assert_close(by_weights, row.loss(logits, labels), logits)


@every_comparison
@pytest.mark.parametrize("present", [(0,), (0, 1)], ids=["clean", "of two classes"])
def test_images_that_lack_classes_are_those_of_the_formula(case, present):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    labels = np.where(np.isin(labels, [*present, -1, 255]), labels, 0)
    check(case, logits, labels, weights, cotangent)


@every_comparison
@pytest.mark.parametrize("size", [20, 100, 1e4])
def test_large_logits_are_those_of_the_formula(case, size):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    check(case, np.sign(logits) * np.float32(size), labels, weights, cotangent, gradient_scale=0)


@every_comparison
def test_logits_of_1e37_give_a_finite_map(case):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    value, _ = case.both(np.sign(logits) * np.float32(1e37), labels, weights, cotangent)
    assert jnp.isfinite(value).all()


@every_comparison_of_digits
@pytest.mark.parametrize("margin", [-12, 8, 17, 22])
def test_gradients_at_confidently_right_and_wrong_pixels_keep_their_digits(case, margin):
    logits, labels, weights, _ = example(case.row, case.num_classes, scale=0.5)
    if case.row.multilabel:
        wrong = np.where(labels == 1, -1, 1)
    else:
        wrong = np.eye(case.num_classes)[(labels + (margin > 0)) % case.num_classes] * np.sign(margin)
    wrong = wrong * (np.random.default_rng(1).random((*SHAPE, 1)) < 0.5)
    logits, ones = (logits + margin * wrong).astype(np.float32), np.ones(SHAPE, np.float32)
    _, gradient = case.both(logits, labels, weights, ones)
    _, gradient64 = expected(case.row, logits, labels, weights, ones, **case.options)
    assert_gradient_close_at_each_pixel(gradient, gradient64)


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.name in ("softmax_cross_entropy", "dice_loss")], ids=lambda row: row.name
)
def test_many_classes_are_those_of_the_formula(row):
    check(Case(row, 40, {}), *example(row, 40))


@pytest.mark.parametrize("row", [r for r in ROWS if not r.multilabel], ids=lambda row: row.name)
def test_an_offset_of_all_logits_changes_nothing(row):
    logits, *others = example(row)
    logits = np.round(logits)  # whole numbers, so that the sum is exact
    for shifted, plain in zip(
        row.both(logits + np.float32(1e4), *others), row.both(logits, *others), strict=True
    ):
        assert_close(shifted, plain)


@every_loss
def test_any_labels_are_those_of_the_formula(row):
    logits, labels, _, cotangent = example(row, shape=(1, 4, 5))

    ones = np.ones(labels.shape[:3], np.float32)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(arrays(np.int8, labels.shape, elements=st.sampled_from([-1, 0, 0, 1, 2, 3])))
    def check(labels):
        value, gradient = row.both(logits, labels, ones, cotangent)
        value64, gradient64 = expected(row, logits, labels, None, cotangent)
        assert_close(value, value64, logits)
        assert_close(gradient, gradient64, logits)

    check()


@every_loss
@settings(max_examples=4, deadline=None, derandomize=True)
@given(lead=st.lists(st.integers(0, 3), max_size=3), size=st.tuples(*[st.integers(1, 9)] * 2), data=st.data())
def test_a_map_has_the_shape_of_the_pixels(row, lead, size, data):
    num_classes = data.draw(st.integers(1 if row.multilabel else 2, 6))
    logits = jax.ShapeDtypeStruct((*lead, *size, num_classes), data.draw(st.sampled_from(["f2", "f4"])))
    labels = jax.ShapeDtypeStruct(logits.shape if row.multilabel else logits.shape[:-1], jnp.uint8)
    cost = jax.eval_shape(row.loss, logits, labels)
    assert (cost.shape, cost.dtype) == (logits.shape[:-1], jnp.float32)


@every_multilabel_loss
def test_weights_of_entries_are_those_of_the_formula(row):
    logits, labels, _, cotangent = example(row)
    by_entry = np.random.default_rng(1).uniform(0, 2, labels.shape).astype(np.float32)
    by_entry[~formulas.valid(labels, 2)] = np.nan
    check(Case(row, 3, {}), logits, labels, by_entry, cotangent)


SOFTMAX_TWINS = {
    "sigmoid_truncated_cross_entropy": losses.softmax_truncated_cross_entropy,
    "sigmoid_focal_loss": losses.softmax_focal_loss,
    "sigmoid_balanced_loss": losses.balanced_loss,
}


@every_multilabel_loss
def test_each_entry_is_a_two_class_image_of_its_own(row):
    logits, labels, _, _ = example(row)

    @jax.jit
    def alone(z, y):
        return SOFTMAX_TWINS[row.name](jnp.stack([jnp.zeros_like(z), z], axis=-1), y)

    costs = [alone(logits[..., k], labels[..., k]) for k in range(3)]
    number = np.maximum(formulas.valid(labels, 2).sum(-1), 1)
    assert_close(
        row.both(logits, labels, np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32))[0],
        sum(costs) / number,
    )
