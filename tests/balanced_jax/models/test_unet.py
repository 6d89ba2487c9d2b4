"""U-Net: parameters, sizes, batch statistics, bfloat16."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models import UNet


def initial(model, images) -> dict:
    # XLA:CPU compiles random numbers six times faster at optimization level 1, to the same bits.
    init = functools.partial(model.init, train=False)
    return jax.jit(init, compiler_options={"xla_backend_optimization_level": 1})(jax.random.key(0), images)


def logits(model, variables, images) -> jax.Array:
    return jax.jit(functools.partial(model.apply, train=False))(variables, images)


def number_of_parameters(model, channels):
    images = jnp.zeros((1, 16, 16, channels))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return sum(x.size for x in jax.tree.leaves(shapes["params"]))


def published_parameters(channels: int, classes: int, width: int = 64, depth: int = 4) -> int:
    """Count the parameters of the published figure 1 with padded convolutions and norms, level by level."""

    def convolution(inputs, features, kernel, bias):
        return inputs * features * kernel**2 + bias * features

    def level(inputs, features):
        norms = 2 * 2 * features
        return convolution(inputs, features, 3, False) + convolution(features, features, 3, False) + norms

    widths = [width * 2**level for level in range(depth + 1)]
    encoder = sum(level(w, features) for w, features in zip([channels, *widths], widths, strict=False))
    decoder = sum(convolution(2 * w, w, 2, True) + level(2 * w, w) for w in widths[:-1])
    return encoder + decoder + convolution(width, classes, 1, True)


def test_the_published_widths_have_31_million_parameters():
    assert number_of_parameters(UNet(), channels=1) == published_parameters(channels=1, classes=2)
    assert round(number_of_parameters(UNet(), channels=1) / 1e6, 1) == 31.0


@pytest.mark.parametrize(("width", "depth", "classes"), [(4, 2, 3), (6, 3, 2)])
def test_width_and_depth_are_fields(width, depth, classes):
    model = UNet(num_classes=classes, width=width, depth=depth)
    assert number_of_parameters(model, channels=3) == published_parameters(3, classes, width, depth)


def test_parameters_are_named_by_level_and_unit():
    model, images = UNet(width=2, depth=2), jnp.zeros((1, 16, 16, 1))
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))["params"]
    levels = {"encoder1", "encoder2", "bottom", "decoder2", "decoder1"}
    assert set(params) == {*levels, "upsample2", "upsample1", "logits"}
    for level in levels:
        assert {unit: set(params[level][unit]) for unit in params[level]} == {
            "unit1": {"conv", "norm"},
            "unit2": {"conv", "norm"},
        }


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (1, 40)])
def test_logits_have_the_size_of_the_image(size):
    model = UNet(num_classes=3, width=2, depth=2)
    images = jnp.ones((2, *size, 1))
    output = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False)[0])
    assert (output.shape, output.dtype) == ((2, *size, 3), jnp.float32)


def test_images_of_a_batch_are_independent_in_evaluation():
    model = UNet(width=4, depth=2)
    images = jax.random.normal(jax.random.key(1), (3, 12, 12, 1))
    variables = initial(model, images)
    together = logits(model, variables, images)
    alone = jnp.concatenate([logits(model, variables, image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_training_updates_the_running_statistics():
    model = UNet(width=4, depth=1)
    images = 3 + jax.random.normal(jax.random.key(1), (4, 16, 16, 1))
    variables = initial(model, images)
    _, new = jax.jit(functools.partial(model.apply, train=True, mutable=["batch_stats"]))(variables, images)
    changes = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), variables["batch_stats"], new["batch_stats"])
    assert all(float(change) > 0 for change in jax.tree.leaves(changes))


def test_bfloat16_changes_the_computation_and_keeps_float32_logits():
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 1))
    model = UNet(width=4, depth=2)
    variables = initial(model, images)
    half = logits(model.clone(dtype="bfloat16"), variables, images)
    full = logits(model, variables, images)
    assert half.dtype == jnp.float32
    assert 0 < float(jnp.abs(half - full).max()) < 0.1 * float(jnp.ptp(full))  # bfloat16 has 8 bits
