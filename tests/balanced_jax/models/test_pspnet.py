"""PSPNet: pooling over regions."""

import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models.pspnet import adaptive_average_pool


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_adaptive_average_pooling_averages_the_regions_of_pytorch(bins):
    x = np.random.default_rng(0).normal(size=(2, 7, 10, 3)).astype(np.float32)
    pooled = np.asarray(adaptive_average_pool(jnp.asarray(x), bins))
    for i in range(bins):
        for j in range(bins):
            rows = slice(i * 7 // bins, -(-(i + 1) * 7 // bins))
            columns = slice(j * 10 // bins, -(-(j + 1) * 10 // bins))
            np.testing.assert_allclose(pooled[:, i, j], x[:, rows, columns].mean((1, 2)), atol=1e-6)
