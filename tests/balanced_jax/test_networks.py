"""The five networks against PyTorch: its answers that are checked in, and, with `-m torch`, its own."""

import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet
from balanced_jax.models.layers import Convolution, max_places, max_pool, max_pool_3, unpool
from balanced_jax.models.pspnet import region_means
from tests.references import networks
from tests.references.make_references import network
from tests.references.networks import CASES

FILE = Path(__file__).parents[1] / "references" / "networks.npz"


@functools.cache
def checked_in(name):
    with np.load(FILE) as file:
        return {key.removeprefix(f"{name}/"): file[key] for key in file if key.startswith(f"{name}/")}


@functools.cache
def of_pytorch(name):
    return network(CASES[name])


@functools.cache
def answers(name):
    """Logits in evaluation; after a step of training the gradient and the running statistics."""
    case = CASES[name]
    images, cotangents = networks.images(case), networks.cotangents(case)
    variables = networks.variables(case, json.loads(str(checked_in(name)["shapes"])))
    model, params = case.model, variables.pop("params")

    def total(params):
        logits, new = model.apply(
            {"params": params, **variables}, images, train=True, mutable=[*variables, "auxiliary"]
        )
        auxiliary = sum((scores * cotangents).mean() for scores in jax.tree.leaves(new.get("auxiliary", {})))
        return (logits * cotangents).mean() + 0.4 * auxiliary, new.get("batch_stats", {})

    @jax.jit
    def run(params):
        logits = model.apply({"params": params, **variables}, images, train=False)
        return logits, *jax.grad(total, has_aux=True)(params)

    logits, gradient, new = jax.device_get(run(params))
    flat: dict = traverse_util.flatten_dict({"params": gradient, "batch_stats": new}, sep="/")
    return {
        "logits": logits.ravel()[::7],
        "extremes": np.array([logits.min(), logits.max()]),
        "gradient": networks.projections({a: x for a, x in flat.items() if a.startswith("params")}),
        "statistics": np.concatenate(
            [[], *(x.ravel() for a, x in sorted(flat.items()) if a.startswith("batch_stats"))]
        ),
    }


# One test a network, because half a minute is spent on compiling it.
@pytest.mark.parametrize("source", [checked_in, pytest.param(of_pytorch, marks=pytest.mark.torch)])
@pytest.mark.parametrize("name", CASES)
def test_logits_gradients_and_statistics_are_those_of_pytorch(name, source):
    ours, wanted = answers(name), source(name)
    bound = 1e-4 * np.ptp(wanted["extremes"])
    np.testing.assert_allclose(ours["logits"], wanted["logits"], rtol=0, atol=bound)
    np.testing.assert_allclose(ours["extremes"], wanted["extremes"], rtol=0, atol=bound)

    assert ours["gradient"].shape == wanted["gradient"].shape
    # Seen 6e-5 of a norm or less, and 6e-4 where rounding moves an activation across a kink.
    largest = wanted["gradient"][:, 0].max()
    np.testing.assert_allclose(ours["gradient"], wanted["gradient"], rtol=2e-3, atol=2e-4 * largest)

    assert ours["statistics"].shape == wanted["statistics"].shape
    np.testing.assert_allclose(ours["statistics"], wanted["statistics"], rtol=1e-4, atol=1e-5)


def number_of_parameters(model):
    images = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return sum(x.size for x in jax.tree.leaves(shapes["params"]))


# torchvision's own count of its VGG16, `num_params`, less its last layer of 1000 classes.
VGG16_WITH_WIDE_LAYERS = 138_357_544 - (4096 * 1000 + 1000)
# The same of its thirteen convolutions: less the two wide layers, too.
VGG16_CONVOLUTIONS = VGG16_WITH_WIDE_LAYERS - (512 * 49 * 4096 + 4096) - (4096 * 4096 + 4096)


def test_deeplabv3_has_as_many_parameters_as_torchvisions():
    # `DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["num_params"]`
    assert number_of_parameters(DeepLabV3(num_classes=21)) == 42_004_074


def test_pspnet_has_as_many_parameters_as_mmsegmentations():
    # The documentation of its get_flops.py says 48.98 M (Cityscapes, 19 classes). Its ResNet-50 V1c has three
    # 3x3 convolutions and their norms for a stem where ours has one of 7x7.
    three = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64)
    one = 49 * 3 * 64 + 2 * 64
    assert round((number_of_parameters(PSPNet(num_classes=19)) + three - one) / 1e6, 2) == 48.98


def test_fcn8s_without_norms_has_the_parameters_of_vgg16_and_its_scores():
    scores = 21 * (4096 + 512 + 256) + 3 * 21 + 2 * 16 * 21 * 21
    parameters = number_of_parameters(FCN8s(num_classes=21, norm="none"))
    assert parameters == VGG16_WITH_WIDE_LAYERS + scores
    assert round(parameters / 1e6) == 134  # Badrinarayanan et al., arXiv:1511.00561, section 3


def test_segnets_encoder_has_the_parameters_of_vgg16_but_for_the_biases():
    images = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda: SegNet().init(jax.random.key(0), images, train=False))
    kernels = [x.size for x in jax.tree.leaves(shapes["params"]["backbone"]) if x.ndim == 4]
    outputs = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512
    assert sum(kernels) == VGG16_CONVOLUTIONS - outputs
    assert round(VGG16_CONVOLUTIONS / 1e6, 1) == 14.7  # the same


def random(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 6)])
def test_the_stems_pooling_is_reduce_window(size):
    x = jax.nn.relu(random(2, *size, 3))
    wanted = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))
    )
    np.testing.assert_array_equal(max_pool_3(x), wanted)


def test_unpooling_puts_the_largest_values_back():
    x = random(2, 6, 8, 3)
    pooled = max_pool(x)
    back = unpool(pooled, max_places(x, pooled))
    np.testing.assert_array_equal(back, jnp.where(x == pooled.repeat(2, 1).repeat(2, 2), x, 0))


def test_of_equal_values_the_first_is_the_place():
    x = jnp.zeros((1, 2, 2, 1))
    np.testing.assert_array_equal(
        unpool(jnp.ones((1, 1, 1, 1)), max_places(x, max_pool(x)))[0, ..., 0], [[1, 0], [0, 0]]
    )


@pytest.mark.parametrize("dilation", [1, 4, 5, 6, 9])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 1), (7, 2)])
def test_a_convolution_is_xlas_whatever_form_it_takes(kernel, stride, dilation):
    x = random(2, 5, 8, 3)
    layer = Convolution(4, kernel, stride, dilation)
    weights = random(kernel, kernel, 3, 4)
    reach = dilation * (kernel // 2)

    def xla(weights, x):
        return jax.lax.conv_general_dilated(
            x,
            weights,
            (stride, stride),
            [(reach, reach)] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def ours(weights, x) -> Any:
        return layer.apply({"params": {"kernel": weights}}, x)

    result, back = jax.vjp(ours, weights, x)
    wanted, wanted_back = jax.vjp(xla, weights, x)
    np.testing.assert_allclose(result, wanted, atol=2e-5)
    for gradient, wanted in zip(back(result), wanted_back(result), strict=True):
        np.testing.assert_allclose(gradient, wanted, atol=1e-3)


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_regions_are_those_of_adaptive_average_pooling(bins):
    x = random(2, 7, 10, 3)
    for i in range(bins):
        for j in range(bins):
            rows = slice(i * 7 // bins, -(-(i + 1) * 7 // bins))
            columns = slice(j * 10 // bins, -(-(j + 1) * 10 // bins))
            wanted = x[:, rows, columns].mean((1, 2))
            np.testing.assert_allclose(region_means(x, bins)[:, i, j], wanted, atol=1e-6)
