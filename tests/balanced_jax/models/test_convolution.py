"""Convolution: every form equals XLA's general convolution."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models.layers import Convolution

SHAPES = [(1, 1), (1, 2), (3, 1), (3, 2), (7, 1), (7, 2)]  # kernel, stride


def random(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [
        (*shape, dilation)
        if (*shape, dilation) in [(1, 2, 1), (3, 1, 1), (3, 1, 6), (3, 1, 9), (7, 1, 1), (7, 2, 1)]
        else pytest.param(*shape, dilation, marks=pytest.mark.slow)
        for shape in SHAPES
        for dilation in (1, 4, 5, 6, 9)
    ],
)
def test_value_and_gradient_equal_those_of_xla(kernel, stride, dilation):
    x = random(2, 5, 8, 3)
    layer = Convolution(4, kernel, stride, dilation)
    weights = random(kernel, kernel, 3, 4)
    padding = dilation * (kernel // 2)

    def convolve(weights, x) -> Any:
        return layer.apply({"params": {"kernel": weights}}, x)

    def convolve_by_xla(weights, x):
        return jax.lax.conv_general_dilated(
            x,
            weights,
            (stride, stride),
            [(padding, padding)] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    y, vjp = jax.vjp(convolve, weights, x)
    expected, expected_vjp = jax.vjp(convolve_by_xla, weights, x)
    np.testing.assert_allclose(y, expected, atol=2e-5)
    for gradient, expected in zip(vjp(y), expected_vjp(y), strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-3)
