"""Networks: sizes, parameters, types."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models import UNet


def scores(model, variables, images) -> jax.Array:
    return jax.jit(functools.partial(model.apply, train=False))(variables, images)


def parameters(model, channels):
    images = jnp.zeros((1, 16, 16, channels))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return sum(x.size for x in jax.tree.leaves(shapes["params"]))


def published_parameters(channels: int, classes: int, width: int = 64, depth: int = 4) -> int:
    """The figure-1 network with padded convolutions, counted level by level from its description."""

    def convolution(before, after, side, bias):
        return before * after * side**2 + bias * after

    def block(before, after):
        norms = 2 * 2 * after
        return convolution(before, after, 3, False) + convolution(after, after, 3, False) + norms

    widths = [width * 2**level for level in range(depth + 1)]
    down = sum(block(before, after) for before, after in zip([channels, *widths], widths, strict=False))
    up = sum(convolution(2 * w, w, 2, True) + block(2 * w, w) for w in widths[:-1])
    return down + up + convolution(width, classes, 1, True)


def test_the_published_widths_have_31_million_parameters():
    assert parameters(UNet(), channels=1) == published_parameters(channels=1, classes=2)
    assert round(parameters(UNet(), channels=1) / 1e6, 1) == 31.0


@pytest.mark.parametrize(("width", "depth", "classes"), [(4, 2, 3), (6, 3, 2)])
def test_width_and_depth_are_fields(width, depth, classes):
    model = UNet(num_classes=classes, width=width, depth=depth)
    assert parameters(model, channels=3) == published_parameters(3, classes, width, depth)


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (5, 3), (1, 40)])
def test_logits_have_the_size_of_the_image(size):
    model = UNet(num_classes=3, width=2, depth=2)
    images = jnp.ones((2, *size, 1))
    logits = jax.jit(lambda: model.init_with_output(jax.random.key(0), images, train=False)[0])()
    chex.assert_shape(logits, (2, *size, 3))
    chex.assert_type(logits, jnp.float32)


def test_an_image_does_not_depend_on_its_neighbours_in_evaluation():
    model = UNet(width=4, depth=2)
    images = jax.random.normal(jax.random.key(1), (3, 12, 12, 1))
    variables = model.init(jax.random.key(0), images, train=False)
    together = scores(model, variables, images)
    alone = jnp.concatenate([scores(model, variables, image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_training_moves_the_running_statistics_towards_the_batch():
    model = UNet(width=4, depth=1)
    images = 3 + jax.random.normal(jax.random.key(1), (4, 16, 16, 1))
    variables = model.init(jax.random.key(0), images, train=False)
    before = variables["batch_stats"]
    _, after = model.apply(variables, images, train=True, mutable=["batch_stats"])
    means = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.abs(a - b).max(), before, after["batch_stats"]))
    assert all(float(mean) > 0 for mean in means)


def test_bfloat16_computes_in_it_and_answers_in_float32():
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 1))
    exact = UNet(width=4, depth=2)
    variables = exact.init(jax.random.key(0), images, train=False)
    half = scores(UNet(width=4, depth=2, dtype="bfloat16"), variables, images)
    full = scores(exact, variables, images)
    assert half.dtype == jnp.float32
    assert 0 < float(jnp.abs(half - full).max()) < 0.1 * float(jnp.ptp(full))  # bfloat16 keeps 8 bits
