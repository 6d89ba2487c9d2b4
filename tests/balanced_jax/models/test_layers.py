"""Dropout, pooling and unpooling."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models.layers import Dropout, Mode, max_pool, max_pool_3x3, max_pool_indices, unpool


def random(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_dropout_scales_the_remaining_activations(rate):
    x = jnp.ones((4, 50, 50, 2))
    layer = Dropout(rate, Mode(train=True))
    y: Any = layer.apply({}, x, rngs={"dropout": jax.random.key(0)})
    assert abs(float((y == 0).mean()) - rate) < 0.02  # 20000 draws: four standard deviations
    np.testing.assert_allclose(y, jnp.where(y == 0, 0, 1 / (1 - rate)))
    assert rate == 0 or not (y[0] == y[1]).all()
    np.testing.assert_array_equal(layer.clone(mode=Mode(train=False)).apply({}, x), x)


def test_dropout_depends_on_the_index_of_an_image_in_the_run():
    x = jnp.ones((3, 8, 8, 2))
    layer = Dropout(0.5, Mode(train=True))

    def dropped(index) -> Any:
        examples = {"examples": {"index": jnp.array(index)}}
        return layer.apply(examples, x[: len(index)], rngs={"dropout": jax.random.key(0)})

    np.testing.assert_array_equal(dropped([7, 2, 5])[1], dropped([2])[0])


@pytest.mark.parametrize("lifted", [nn.remat, nn.jit])
def test_dropout_is_refused_where_the_index_is_hidden(lifted):
    class Block(nn.Module):
        train: bool

        @nn.compact
        def __call__(self, x):
            return Dropout(0.5, Mode(self.train))(x)

    class Network(nn.Module):
        train: bool

        @nn.compact
        def __call__(self, x):
            return lifted(Block)(self.train, name="block")(x)

    x = jnp.ones((3, 8, 8, 2))
    examples = {"examples": {"index": jnp.arange(3)}}
    np.testing.assert_array_equal(Network(train=False).apply(examples, x), x)
    with pytest.raises(ValueError, match=r"^Dropout: got block under nn\.remat"):
        Network(train=True).apply(examples, x, rngs={"dropout": jax.random.key(0)})


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 6)])
def test_3x3_max_pooling_equals_reduce_window(size):
    x = jax.nn.relu(random(2, *size, 3))
    expected = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))
    )
    np.testing.assert_array_equal(max_pool_3x3(x), expected)


def test_unpooling_restores_the_maxima():
    x = random(2, 6, 8, 3)
    pooled = max_pool(x)
    restored = unpool(pooled, max_pool_indices(x, pooled))
    np.testing.assert_array_equal(restored, jnp.where(x == pooled.repeat(2, 1).repeat(2, 2), x, 0))


def test_the_index_of_equal_maxima_is_the_first():
    x = jnp.zeros((1, 2, 2, 1))
    indices = max_pool_indices(x, max_pool(x))
    np.testing.assert_array_equal(unpool(jnp.ones((1, 1, 1, 1)), indices)[0, ..., 0], [[1, 0], [0, 0]])
