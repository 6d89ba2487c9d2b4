"""From maps to numbers: `masked_mean`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.losses import masked_mean


def test_images_count_alike_however_many_of_their_pixels_are_valid():
    values = np.zeros((3, 2, 4), np.float32)
    values[0], values[1, 0, 0], values[2] = 1, 4, 7
    where = np.zeros(values.shape, bool)
    where[0], where[1, 0, 0] = True, True
    assert masked_mean(values, where) == (1 + 4) / 2
    np.testing.assert_allclose(
        jax.grad(masked_mean)(values, where)[:, 0, :2], [[1 / 16, 1 / 16], [1 / 2, 0], [0, 0]]
    )


def test_without_a_mask_all_pixels_count():
    assert masked_mean(np.arange(8, dtype=np.float32).reshape(2, 2, 2)) == 3.5


def test_values_that_do_not_count_may_be_nan():
    values, where = np.array([[np.nan, 3]], np.float32), np.array([[False, True]])
    value, gradient = jax.value_and_grad(masked_mean)(values, where)
    assert value == 3
    np.testing.assert_array_equal(gradient, [[0, 1]])


def test_the_mean_of_nothing_is_0():
    value, gradient = jax.value_and_grad(masked_mean)(jnp.ones((2, 3, 3)), jnp.zeros((2, 3, 3), bool))
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_large_images_neither_overflow_nor_drift(dtype):
    values, where = jnp.full((4096, 4096), 3e4, dtype), jnp.ones((4096, 4096), bool).at[0].set(False)
    for mean in (masked_mean(values), masked_mean(values, where)):
        assert mean.dtype == jnp.float32
        assert mean == pytest.approx(float(values[0, 0]), rel=1e-6)
