"""Shares of the loss: against float64 sums over lists of pixels, and cases made by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.diagnostics import (
    ERROR_BINS,
    Diagnostics,
    GroupSums,
    boundary_and_inside,
    branches,
    densities,
    diagnose,
    error_bins,
    group_sums,
    loss_and_gradient,
    means,
    shares,
)
from balanced_jax.losses import (
    dice_loss,
    sigmoid_truncated_cross_entropy,
    softmax_cross_entropy,
    softmax_truncated_cross_entropy,
)
from balanced_jax.masks import balance_mask
from tests.balanced_jax import formulas
from tests.balanced_jax.blobs import blobs
from tests.balanced_jax.losses.table import ROWS
from tests.balanced_jax.tolerance import assert_close

FEW = ("softmax_truncated_cross_entropy", "dice_loss")
"""A map with branches and a loss of regions; the others are slow tests."""
every_loss = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if row.name in FEW else pytest.mark.slow)
        for row in ROWS
        if not row.multilabel  # classes must exclude each other
    ],
)


def example(num_classes: int = 3, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of three images: one with void pixels, one without class 1, one all void."""
    labels = blobs(num_classes, (3, 9, 10)).astype(np.int32)
    labels[1][labels[1] == 1] = 0
    labels[2] = 255
    logits = scale * np.random.default_rng(1).normal(size=(*labels.shape, num_classes))
    return logits.astype(np.float32), labels


def sums_of(groups, cost, slope):
    """Sums over the pixels of each group of one image, from a list of its masks."""
    return [[x[group].sum() for group in groups] for x in (np.ones(cost.shape), cost, slope)]


def by_hand(formula, logits, labels, eps_inf=0.3, eps_sup=0.7):
    """The four divisions of one image, in float64: [(pixels, loss, gradient)], each by group."""
    logits, num_classes = logits.astype(np.float64), logits.shape[-1]
    valid = formulas.valid(labels, num_classes)
    each = valid / max(valid.sum(), 1)
    cost = each * formula(logits, labels)
    slope = np.abs(formulas.gradient(lambda z: formula(z, labels), logits, each)).sum(-1)
    error = -np.expm1(-formulas.surprise(logits, labels))
    boundary = formulas.boundary_mask(labels, num_classes)
    edges = np.arange(ERROR_BINS + 1) / ERROR_BINS
    easy, hard = error < eps_inf, error > eps_sup
    return [
        sums_of([valid & group for group in groups], cost, slope)
        for groups in (
            [(low <= error) & (error < high) for low, high in itertools.pairwise(edges)],
            [easy, ~easy & ~hard, hard],
            [labels == k for k in range(num_classes)],
            [boundary, ~boundary],
        )
    ]


def flat(result: Diagnostics) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(result)]


@every_loss
@pytest.mark.parametrize("num_classes", [2, 4])
def test_sums_are_those_of_the_formula(row, num_classes):
    logits, labels = example(num_classes)
    result = diagnose(row.loss, logits, labels)
    for i in range(3):
        reference = by_hand(row.formula, logits[i], labels[i])
        for sums_by_group, sums in zip(result, reference, strict=True):
            for actual, expected in zip(sums_by_group, sums, strict=True):
                assert_close(actual[i], expected)
                assert actual.dtype == (jnp.int32 if actual is sums_by_group.pixels else jnp.float32)


@every_loss
def test_the_loss_and_gradient_of_a_pixel_are_those_of_the_formula(row):
    logits, labels = example()
    weights = np.random.default_rng(2).uniform(0.5, 3, labels.shape).astype(np.float32)
    cost, slope = jax.vmap(lambda z, y, w: loss_and_gradient(functools.partial(row.loss, weights=w), z, y))(
        logits, labels, weights
    )
    for i in range(2):
        valid = formulas.valid(labels[i], 3)
        formula = functools.partial(row.formula, labels=labels[i], weights=weights[i].astype(np.float64))
        z = logits[i].astype(np.float64)
        assert_close(cost[i], formula(z) * valid / valid.sum())
        assert_close(slope[i], np.abs(formulas.gradient(formula, z, valid / valid.sum())).sum(-1))


@pytest.mark.slow
@every_loss
def test_jit_vmap_and_leading_axes_change_nothing(row):
    logits, labels = example()
    whole, jitted = diagnose(row.loss, logits, labels), jax.jit(diagnose, static_argnums=0)
    others = [
        jitted(row.loss, logits, labels),
        jax.jit(jax.vmap(lambda z, y: diagnose(row.loss, z, y)))(logits, labels),
        jax.tree.map(lambda *x: jnp.stack(x), *(diagnose(row.loss, logits[i], labels[i]) for i in range(3))),
        jax.tree.map(lambda x: x[0], jitted(row.loss, logits[None], labels[None])),
    ]
    for other in others:
        for actual, expected in zip(flat(other), flat(whole), strict=True):
            assert actual.dtype == expected.dtype
            assert_close(actual, expected)


@every_loss
def test_divisions_are_of_the_same_loss_and_shares_sum_to_1(row):
    result = diagnose(row.loss, *example())
    for kind in GroupSums._fields:
        totals = [np.asarray(getattr(sums_by_group, kind)).sum() for sums_by_group in result]
        np.testing.assert_allclose(totals, totals[0], rtol=1e-5)
    for sums_by_group in result:
        np.testing.assert_allclose([share.sum() for share in shares(sums_by_group)], 1)


def test_a_loss_of_several_labels_a_pixel_is_diagnosed_by_its_softmax_twin():
    logits, labels = example(2)
    score = logits[..., 1] - logits[..., 0]
    result = diagnose(
        lambda z, y: sigmoid_truncated_cross_entropy(z[..., 1:] - z[..., :1], y[..., None]),
        jnp.stack([jnp.zeros_like(score), score], axis=-1),
        labels,
    )
    reference = diagnose(softmax_truncated_cross_entropy, logits, labels)
    for actual, expected in zip(flat(result), flat(reference), strict=True):
        assert_close(actual, expected)


@every_loss
def test_void_images_and_pixels_have_no_share(row):
    logits, labels = example()
    result = diagnose(row.loss, logits, labels)
    assert all((x[2] == 0).all() for x in flat(result))
    for sums_by_group in diagnose(row.loss, logits[2], labels[2]):
        assert np.isnan(shares(sums_by_group)).all()
    two = diagnose(row.loss, logits[:2], labels[:2])
    for all_three, without in zip(result, two, strict=True):
        # Rounding alone: three images are summed in another order than two.
        np.testing.assert_allclose(np.stack(shares(all_three)), np.stack(shares(without)), rtol=1e-6)


def test_values_of_a_loss_at_void_pixels_are_ignored():
    logits, labels = example()
    wild = diagnose(lambda z, y: jnp.where(y == 255, jnp.nan, z.sum(-1) ** 2), logits, labels)
    tame = diagnose(lambda z, y: z.sum(-1) ** 2, logits, labels)
    for actual, expected in zip(flat(wild), flat(tame), strict=True):
        assert_close(actual, expected)


def test_an_absent_class_has_no_share_and_no_mean():
    logits, labels = example()
    result = diagnose(softmax_cross_entropy, logits[1], labels[1]).by_class
    assert [share[1] for share in shares(result)] == [0, 0, 0]
    mask = balance_mask(labels, 3, window=3)
    sums = group_sums(mask, labels[..., None] == np.arange(3))
    pixels = (labels[..., None] == np.arange(3)).sum((1, 2))
    assert np.isnan(means(sums[1], pixels[1]))[1]
    expected = [np.asarray(mask, np.float64)[labels == k].mean() for k in range(3)]
    np.testing.assert_allclose(means(sums, pixels), expected, rtol=1e-6)


def test_a_defect_of_one_percent_can_have_half_the_loss():
    labels = np.zeros((10, 10), np.uint8)
    labels[0, 0] = 1
    logits = np.zeros((10, 10, 2), np.float32)
    logits[..., 0] = np.log(3)  # the defect's error is .75, the background's .25
    result = diagnose(softmax_cross_entropy, logits, labels)
    log4, log4_3 = np.log(4), np.log(4 / 3)
    np.testing.assert_array_equal(result.by_branch.pixels, [99, 0, 1])
    np.testing.assert_array_equal(result.by_boundary.pixels, [3, 97])
    loss = np.array([99 * log4_3, log4]) / 100
    np.testing.assert_allclose(result.by_class.loss, loss, rtol=1e-6)
    np.testing.assert_allclose(result.by_class.gradient, np.array([99 * 0.5, 1.5]) / 100, rtol=1e-6)
    np.testing.assert_allclose(shares(result.by_class).loss, loss / loss.sum(), rtol=1e-6)
    weights = np.where(labels == 1, 99 * log4_3 / log4, 1).astype(np.float32)
    weighted = diagnose(functools.partial(softmax_cross_entropy, weights=weights), logits, labels)
    np.testing.assert_allclose(shares(weighted.by_class).loss, [0.5, 0.5], rtol=1e-6)


def test_branches_are_those_of_the_truncated_loss():
    logits, labels = example(scale=4.0)
    easy, critical, hard = np.moveaxis(np.asarray(branches(logits, labels)), -1, 0)
    assert all(group.sum() > 10 for group in (easy, critical, hard))
    valid = formulas.valid(labels, 3)
    np.testing.assert_array_equal(easy ^ critical ^ hard, valid)
    cost = softmax_truncated_cross_entropy(logits, labels)
    np.testing.assert_array_equal(easy, valid & (np.asarray(cost) == 0))
    ceiling = np.log(0.7) - np.log(0.3)  # the cost where hard begins
    np.testing.assert_array_equal(hard, np.asarray(cost) > ceiling)


def test_thresholds_belong_to_the_critical_and_0_and_1_make_all_critical():
    logits, labels = np.zeros((1, 2, 2), np.float32), np.array([[0, 1]])  # errors of .5
    for eps in ({"eps_inf": 0.5}, {"eps_sup": 0.5}):
        assert branches(logits, labels, **eps).tolist() == [[[False, True, False]] * 2]
    logits, labels = example(scale=30.0)
    result = branches(logits, labels, eps_inf=0.0, eps_sup=1.0).sum((0, 1, 2))
    assert result.tolist() == [0, formulas.valid(labels, 3).sum(), 0]
    far = np.array([[[200.0, 0.0], [200.0, 0.0]]], np.float32)  # errors of 0 and, rounded, 1
    assert branches(far, np.array([[0, 1]]), eps_inf=0.0, eps_sup=1.0)[..., 1].all()


def test_thresholds_may_be_traced_and_take_one_trace():
    logits, labels = example()
    traces = []

    @jax.jit
    def compiled(eps_inf, eps_sup):
        traces.append(0)
        return diagnose(softmax_cross_entropy, logits, labels, eps_inf=eps_inf, eps_sup=eps_sup)

    for eps in ((0.3, 0.7), (0.0, 1.0), (0.1, 0.9)):
        reference = diagnose(softmax_cross_entropy, logits, labels, eps_inf=eps[0], eps_sup=eps[1])
        for actual, expected in zip(flat(compiled(*eps)), flat(reference), strict=True):
            assert_close(actual, expected)
    assert len(traces) == 1


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_diagnosed_in_single(dtype):
    logits, labels = example()
    rounded = jnp.asarray(logits, dtype)
    result = diagnose(dice_loss, rounded, labels)
    for actual, expected in zip(
        flat(result), flat(diagnose(dice_loss, rounded.astype(jnp.float32), labels)), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_bytes_and_numpy_arrays_give_the_same():
    logits, labels = example()
    labels = np.where(labels < 0, 255, labels)
    for actual, expected in zip(
        flat(diagnose(softmax_cross_entropy, logits, labels.astype(np.uint8))),
        flat(diagnose(softmax_cross_entropy, jnp.asarray(logits), jnp.asarray(labels))),
        strict=True,
    ):
        np.testing.assert_array_equal(actual, expected)


def test_boundary_and_inside_leave_void_out():
    labels = blobs(3)
    boundary, inside = np.moveaxis(np.asarray(boundary_and_inside(labels, 3)), -1, 0)
    for i, label in enumerate(labels):
        np.testing.assert_array_equal(boundary[i], formulas.boundary_mask(label, 3))
    np.testing.assert_array_equal(boundary ^ inside, formulas.valid(labels, 3))


def test_errors_of_0_and_1_are_in_the_outer_bins():
    far = np.array([[[200.0, 0.0], [200.0, 0.0], [200.0, 0.0]]], np.float32)  # errors of 0 and, rounded, 1
    result = error_bins(far, np.array([[0, 1, 255]]))
    assert result.sum(-1).tolist() == [[1, 1, 0]]
    assert result.argmax(-1).tolist() == [[0, ERROR_BINS - 1, 0]]


def test_the_boundary_to_interior_ratio_of_a_map():
    labels = np.zeros((6, 10), np.uint8)
    labels[:, 5:] = 1  # the boundary is two columns of ten
    weights = np.where(boundary_and_inside(labels, 2)[..., 0], 3, 1).astype(np.float32)
    result = diagnose(functools.partial(softmax_cross_entropy, weights=weights), np.zeros((6, 10, 2)), labels)
    for density in densities(result.by_boundary):
        np.testing.assert_allclose(density, np.array([3, 1]) / 1.4, rtol=1e-6)
    loss, _ = densities(GroupSums(np.array([4, 0]), np.array([1.0, 0.0]), np.array([1.0, 0.0])))
    np.testing.assert_array_equal(loss, [1, np.nan])


def test_sums_of_batches_may_be_stacked_or_added():
    result = diagnose(softmax_cross_entropy, *example()).by_class
    expected = shares(result)
    for other in (
        jax.tree.map(lambda x: np.asarray(x).sum(0), result),
        jax.tree.map(lambda x: np.asarray(x).reshape(3, 1, -1), result),
    ):
        np.testing.assert_allclose(shares(other), expected, rtol=1e-6)


def test_shares_of_what_is_not_finite_are_nan_and_do_not_warn():
    some = np.array([[1, 2]])
    result = shares(GroupSums(some, np.array([[np.inf, 1.0]]), np.array([[np.nan, 1.0]])))
    np.testing.assert_allclose(result.pixels, [1 / 3, 2 / 3])
    assert np.isnan(result.loss).all()
    assert np.isnan(result.gradient).all()


def test_pixels_of_many_images_do_not_overflow():
    pixels = np.full((8192, 2), 512 * 512, np.int32)
    assert shares(GroupSums(pixels, pixels / 1, pixels / 1)).pixels.tolist() == [0.5, 0.5]


def test_pixels_whose_sum_overflowed_are_refused():
    pixels, some = jnp.array([[2**30, 1]]), np.ones((1, 2))
    total = pixels + pixels
    for figure in (shares, densities):
        with pytest.raises(ValueError, match="pixels must be at least 0, got -2147483648: "):
            figure(GroupSums(total, some, some))
    with pytest.raises(ValueError, match="pixels must be at least 0, got -2147483648: "):
        means(some, total)
