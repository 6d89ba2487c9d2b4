"""Networks: sizes, parameters, types."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from balanced_jax.models.layers import Dropout, Mode


def scores(model, variables, images) -> jax.Array:
    return jax.jit(functools.partial(model.apply, train=False))(variables, images)


def initial(model, images) -> dict:
    # At level 1 random numbers are compiled six times faster, to the same bits.
    make = functools.partial(model.init, train=False)
    return jax.jit(make, compiler_options={"xla_backend_optimization_level": 1})(jax.random.key(0), images)


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
    logits = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False)[0])
    assert (logits.shape, logits.dtype) == ((2, *size, 3), jnp.float32)


def test_an_image_does_not_depend_on_its_neighbours_in_evaluation():
    model = UNet(width=4, depth=2)
    images = jax.random.normal(jax.random.key(1), (3, 12, 12, 1))
    variables = initial(model, images)
    together = scores(model, variables, images)
    alone = jnp.concatenate([scores(model, variables, image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_training_moves_the_running_statistics_towards_the_batch():
    model = UNet(width=4, depth=1)
    images = 3 + jax.random.normal(jax.random.key(1), (4, 16, 16, 1))
    variables = initial(model, images)
    before = variables["batch_stats"]
    _, after = model.apply(variables, images, train=True, mutable=["batch_stats"])
    means = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.abs(a - b).max(), before, after["batch_stats"]))
    assert all(float(mean) > 0 for mean in means)


def test_bfloat16_computes_in_it_and_answers_in_float32():
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 1))
    exact = UNet(width=4, depth=2)
    variables = initial(exact, images)
    half = scores(UNet(width=4, depth=2, dtype="bfloat16"), variables, images)
    full = scores(exact, variables, images)
    assert half.dtype == jnp.float32
    assert 0 < float(jnp.abs(half - full).max()) < 0.1 * float(jnp.ptp(full))  # bfloat16 keeps 8 bits


NETWORKS = [
    UNet(width=2),
    FCN8s(width=2),
    SegNet(width=2),
    DeepLabV3(width=4),
    DeepLabV3(width=4, output_stride=16, decoder=True),
    PSPNet(width=4),
]
each_network = pytest.mark.parametrize("model", NETWORKS, ids=lambda model: type(model).__name__)


def shapes_of(model, images):
    """Shapes of the logits and of what else comes out of a step of training; nothing is computed."""

    def run():
        variables = model.init(jax.random.key(0), images, train=False)
        rngs = {"dropout": jax.random.key(1)}
        return model.apply(variables, images, train=True, mutable=["batch_stats", "auxiliary"], rngs=rngs)

    return jax.eval_shape(run)


@each_network
@pytest.mark.parametrize("shape", [(1, 230, 630, 1), (2, 1600, 256, 3), (1, 5, 7, 1)])
def test_any_size_is_taken_in_grey_and_in_colour(model, shape):
    logits, collections = shapes_of(model.clone(num_classes=5, dtype="bfloat16"), jnp.zeros(shape))
    for scores in (logits, *jax.tree.leaves(collections.get("auxiliary", {}))):
        assert (scores.shape, scores.dtype) == ((*shape[:3], 5), jnp.float32)


@each_network
def test_group_norm_needs_no_statistics(model):
    _, collections = shapes_of(model.clone(norm="group"), jnp.zeros((1, 64, 64, 1)))
    assert set(collections) <= {"auxiliary"}


@each_network
def test_remat_has_the_same_parameters(model):
    images = jnp.zeros((1, 64, 64, 1))
    plain, again = (
        jax.eval_shape(lambda m=m: m.init(jax.random.key(0), images, train=False))
        for m in (model, model.clone(remat=True))
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(plain, again)


@pytest.mark.parametrize(
    "model", [UNet(width=2, depth=1), DeepLabV3(width=2, blocks=(1, 1, 1, 1), dropout=0.0)]
)
def test_remat_computes_again_and_gives_the_same_gradient(model):
    images = jax.random.normal(jax.random.key(1), (2, 24, 24, 1))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: jnp.asarray(rng.uniform(0.1, 1, x.shape), x.dtype), shapes)

    def total(params, model):
        logits, _ = model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
        return (logits * images).mean()

    gradient = jax.grad(total)
    again = model.clone(remat=True)
    assert "remat" in str(jax.make_jaxpr(lambda p: total(p, again))(variables["params"]))
    assert "remat" not in str(jax.make_jaxpr(lambda p: total(p, model))(variables["params"]))
    plain = jax.jit(gradient, static_argnums=1)(variables["params"], model)
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(plain))
    chex.assert_trees_all_close(
        jax.jit(gradient, static_argnums=1)(variables["params"], again), plain, atol=1e-5 * largest
    )


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_is_kept_by_dropout_is_scaled_up(dropout):
    x = jnp.ones((4, 50, 50, 2))
    layer = Dropout(dropout, Mode(train=True))
    kept: Any = layer.apply({}, x, rngs={"dropout": jax.random.key(0)})
    share = float((kept == 0).mean())
    assert abs(share - dropout) < 0.02  # 20000 draws: four deviations
    np.testing.assert_allclose(kept, jnp.where(kept == 0, 0, 1 / (1 - dropout)))
    assert dropout == 0 or not (kept[0] == kept[1]).all()
    np.testing.assert_array_equal(layer.clone(mode=Mode(train=False)).apply({}, x), x)


def test_an_image_is_dropped_by_its_place_in_the_run():
    x = jnp.ones((3, 8, 8, 2))
    layer = Dropout(0.5, Mode(train=True))

    def dropped(index) -> Any:
        examples = {"examples": {"index": jnp.array(index)}}
        return layer.apply(examples, x[: len(index)], rngs={"dropout": jax.random.key(0)})

    np.testing.assert_array_equal(dropped([7, 2, 5])[1], dropped([2])[0])
