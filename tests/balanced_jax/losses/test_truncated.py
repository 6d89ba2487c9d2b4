"""Truncated cross entropy: Eqs. 5 to 7, and what happens where their pieces meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import (
    all_entries_truncated_cross_entropy,
    balanced_loss,
    sigmoid_balanced_loss,
    sigmoid_truncated_cross_entropy,
    softmax_cross_entropy,
    softmax_truncated_cross_entropy,
    truncated_cross_entropy,
)
from tests.balanced_jax.tolerance import assert_close

THRESHOLDS = [(0.3, 0.7), (0.1, 0.9), (0.0, 0.7), (0.3, 1.0), (0.0, 1.0)]
thresholds = pytest.mark.parametrize(("eps_inf", "eps_sup"), THRESHOLDS)


def python_numbers(function):
    """Compile with the arguments as Python numbers, where `jax.jit` would trace them."""
    return lambda *numbers: jax.jit(lambda: function(*numbers))()


traced = pytest.mark.parametrize("given", [python_numbers, jax.jit])


def equation_7(error, eps_inf, eps_sup):
    """Value and derivative, branch by branch as printed."""
    if error < eps_inf:
        return 0.0, 0.0
    if error <= eps_sup:
        return -np.log(1 - error) + np.log(1 - eps_inf), 1 / (1 - error)
    t_sup, t_inf = -np.log(1 - eps_sup), -np.log(1 - eps_inf)
    return (error - eps_sup) / (1 - eps_sup) + t_sup - t_inf, 1 / (1 - eps_sup)


def errors_near_thresholds(eps_inf, eps_sup):
    """Errors just below and just above both thresholds, between 0 and 1."""
    near = np.add.outer([eps_inf, eps_sup], [-1e-5, 1e-5]).ravel()
    return near[(near > 0) & (near < 1)]


def logits_of(error):
    """Two classes, the first one labeled with the probability 1 - error."""
    return np.stack([np.log(1 - error), np.log(error)], -1)


@thresholds
@traced
def test_the_function_of_the_error_is_equation_7(eps_inf, eps_sup, given):
    near = errors_near_thresholds(eps_inf, eps_sup)
    errors = np.concatenate([np.linspace(0, 0.999, 97), near]).astype(np.float32)

    def both(inf, sup):
        value, back = jax.vjp(lambda e: truncated_cross_entropy(e, inf, sup), errors)
        return value, back(jnp.ones_like(value))[0]

    value, slope = given(both)(eps_inf, eps_sup)
    expected = np.array([equation_7(e, eps_inf, eps_sup) for e in errors.astype(np.float64)])
    assert_close(value, expected[:, 0])
    # eps_sup and 1 - eps_sup are known to 6e-8 each, and the slope divides by the latter.
    np.testing.assert_allclose(slope, expected[:, 1], rtol=1.2e-7 / (1 - min(eps_sup, errors.max())))


def test_both_joints_belong_to_the_middle():
    slope = jax.grad(truncated_cross_entropy)
    below, above = np.nextafter(np.float32(0.3), [0, 1], dtype=np.float32)
    assert slope(below) == 0
    assert slope(np.float32(0.3)) == pytest.approx(1 / 0.7, rel=1e-6)
    assert slope(above) == pytest.approx(1 / 0.7, rel=1e-6)
    assert truncated_cross_entropy(np.float32(0.3)) == pytest.approx(0, abs=1e-7)
    below, above = np.nextafter(np.float32(0.7), [0, 1], dtype=np.float32)
    for error in (below, np.float32(0.7), above):
        assert slope(error) == pytest.approx(1 / 0.3, rel=1e-6)


@traced
def test_the_lower_joint_belongs_to_the_middle_at_the_logits_too(given):
    logits, labels = jnp.zeros((1, 1, 2)), np.zeros((1, 1), int)  # an error of one half, on the dot

    @given
    def gradient(inf):
        return jax.grad(lambda z: softmax_truncated_cross_entropy(z, labels, eps_inf=inf).sum())(logits)

    np.testing.assert_array_equal(gradient(0.5).ravel(), [-0.5, 0.5])


def test_the_costliest_error_costs_1_and_the_logarithm_of_7_thirds():
    assert truncated_cross_entropy(1.0).item() == pytest.approx(1 + np.log(7 / 3), rel=1e-6)


def test_without_an_upper_threshold_a_certain_miss_costs_infinitely_much():
    assert truncated_cross_entropy(np.float32(1), 0.0, 1.0) == np.inf


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_errors_of_half_precision_are_read_as_they_are(dtype):
    errors = jnp.linspace(0, 1, 9, dtype=dtype)
    value, slope = jax.vmap(jax.value_and_grad(truncated_cross_entropy))(errors)
    assert value.dtype == jnp.float32
    assert slope.dtype == dtype
    np.testing.assert_array_equal(value, truncated_cross_entropy(errors.astype(jnp.float32)))


@thresholds
@traced
def test_the_pieces_meet_at_the_logits_as_in_the_error(eps_inf, eps_sup, given):
    near = errors_near_thresholds(eps_inf, eps_sup)
    errors = np.concatenate([near, [0.05, 0.2, 0.5, 0.8, 0.99]])[None]
    logits, labels = logits_of(errors).astype(np.float32), np.zeros(errors.shape, np.uint8)
    cotangent = np.linspace(-1, 2, errors.size, dtype=np.float32)[None]

    def both(inf, sup):
        value, back = jax.vjp(
            lambda z: softmax_truncated_cross_entropy(z, labels, eps_inf=inf, eps_sup=sup), logits
        )
        return value, back(jnp.asarray(cotangent))[0]

    value, gradient = given(both)(eps_inf, eps_sup)
    expected = np.array([equation_7(e, eps_inf, eps_sup) for e in errors[0]])
    assert_close(value[0], expected[:, 0])
    by_error = cotangent[0] * expected[:, 1] * errors[0] * (1 - errors[0])  # d error / d logit is e (1 - e)
    assert_close(gradient[0], np.stack([-by_error, by_error], -1))


@pytest.mark.parametrize("margin", [20, 50, 1e4])
@traced
def test_confident_misses_cost_a_bounded_amount_and_pull_no_more(margin, given):
    logits, labels = jnp.array([[[0, margin]]], jnp.float32), np.zeros((1, 1), int)

    @given
    def both(sup):
        return jax.value_and_grad(lambda z: softmax_truncated_cross_entropy(z, labels, eps_sup=sup).sum())(
            logits
        )

    value, gradient = both(0.7)
    assert_close(value, 1 - np.exp(-margin) / 0.3 + np.log(7 / 3))
    np.testing.assert_allclose(gradient.ravel(), np.array([-1, 1]) * np.exp(-margin) / 0.3, rtol=1e-5)
    value, gradient = both(1.0)
    np.testing.assert_allclose(value, margin + np.log(0.7), rtol=1e-6)
    assert_close(gradient.ravel(), [-1, 1])


@traced
def test_thresholds_of_0_and_1_are_cross_entropy(given):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=9, size=(8, 9, 3)).astype(np.float32)
    labels = rng.integers(-1, 4, (8, 9))

    def both(inf, sup):
        value, back = jax.vjp(
            lambda z: softmax_truncated_cross_entropy(z, labels, eps_inf=inf, eps_sup=sup), logits
        )
        return value, back(jnp.ones_like(value))[0]

    value, gradient = given(both)(0, 1)
    assert_close(value, softmax_cross_entropy(logits, labels), logits)
    reference = jax.jit(jax.grad(lambda z: softmax_cross_entropy(z, labels).sum()))
    assert_close(gradient, reference(logits), logits)


@pytest.mark.parametrize("balanced", [balanced_loss, sigmoid_balanced_loss])
def test_a_grid_of_beta_and_thresholds_takes_one_trace(balanced):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 6, 2)).astype(np.float32)
    labels = rng.integers(0, 2, (6, 6) if balanced is balanced_loss else (6, 6, 2))
    traces = []

    @jax.jit
    def loss(beta, delta):
        traces.append(beta)
        return balanced(logits, labels, beta=beta, eps_inf=0.5 - delta, eps_sup=0.5 + delta)

    betas, deltas = [0.0, 0.9, 0.99, 0.999], [0.1, 0.2, 0.3, 0.4, 0.5]
    grid = jax.vmap(jax.vmap(loss, (None, 0)), (0, None))(jnp.float32(betas), jnp.float32(deltas))
    assert len(traces) == 1
    for i, beta in enumerate(betas):
        for j, delta in enumerate(deltas):
            alone = balanced(logits, labels, beta=beta, eps_inf=0.5 - delta, eps_sup=0.5 + delta)
            # At beta = .999 the traced number itself is 1.3e-8 off, a hundred-thousandth of 1 - beta.
            assert_close(grid[i, j], alone, unit=1e-6 if beta < 0.999 else 1e-5)


def test_forward_mode_is_refused_and_reverse_over_reverse_works():
    def loss(error):
        return truncated_cross_entropy(error).sum()

    point = jnp.linspace(0.01, 0.99, 8)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(loss, (point,), (point,))
    assert jnp.isfinite(jax.jit(jax.jacrev(jax.grad(loss)))(point)).all()


@thresholds
@traced
def test_the_pieces_of_the_other_links_meet_where_those_of_softmax_do(eps_inf, eps_sup, given):
    near = errors_near_thresholds(eps_inf, eps_sup)
    errors = np.concatenate([near, [0.05, 0.2, 0.5, 0.8, 0.99]])[None]
    logits, labels = logits_of(errors).astype(np.float32), np.zeros(errors.shape, np.uint8)
    margin = (logits[..., :1] - logits[..., 1:]).astype(np.float32)

    def costs_and_slopes(inf, sup):
        def total(loss, labels, z):
            cost = loss(z, labels, eps_inf=inf, eps_sup=sup)
            return cost.sum(), cost

        result = [
            jax.value_and_grad(lambda z, loss=loss, y=y: total(loss, y, z), has_aux=True)(z)
            for loss, y, z in (
                (sigmoid_truncated_cross_entropy, labels[..., None] + 1, margin),
                (all_entries_truncated_cross_entropy, labels, logits),
            )
        ]
        return [(cost, slope[..., 0]) for (_, cost), slope in result]

    expected = np.array([equation_7(e, eps_inf, eps_sup) for e in errors[0]])
    by_error = -expected[:, 1] * errors[0] * (1 - errors[0])
    for times, (cost, slope) in zip((1, 2), given(costs_and_slopes)(eps_inf, eps_sup), strict=True):
        assert_close(cost[0], times * expected[:, 0])
        assert_close(slope[0], times * by_error)


@traced
def test_the_lower_joint_belongs_to_the_middle_under_the_other_links(given):
    one, zero = np.ones((1, 1, 1), int), np.zeros((1, 1), int)

    @given
    def gradients(inf):
        sigmoid = jax.grad(lambda z: sigmoid_truncated_cross_entropy(z, one, eps_inf=inf).sum())
        entries = jax.grad(lambda z: all_entries_truncated_cross_entropy(z, zero, eps_inf=inf).sum())
        return sigmoid(jnp.zeros((1, 1, 1))), entries(jnp.zeros((1, 1, 2)))

    sigmoid, entries = gradients(0.5)
    assert_close(sigmoid.ravel(), [-0.5])
    assert_close(entries.ravel(), [-1, 1])


@thresholds
def test_curvature_in_the_error_is_that_of_equation_7(eps_inf, eps_sup):
    errors = np.linspace(0.04, 0.94, 10, dtype=np.float32)
    curvature = jax.vmap(jax.grad(jax.grad(truncated_cross_entropy)), (0, None, None))(
        errors, eps_inf, eps_sup
    )
    middle = (errors >= eps_inf) & (errors <= eps_sup)
    np.testing.assert_allclose(curvature, np.where(middle, 1 / (1 - errors.astype(float)) ** 2, 0), rtol=3e-6)
