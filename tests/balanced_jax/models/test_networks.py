"""All networks: the contract of `balanced_jax.models`, PyTorch's results, published parameter counts."""

import dataclasses
import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from balanced_jax.models._network import Network
from tests.balanced_jax.x64 import enable_x64
from tests.references import make_references, networks
from tests.references.networks import CASES

SMALL_RESNET = {"width": 4, "blocks": (1, 1, 2, 1)}
NETWORKS = [
    UNet(width=2),
    FCN8s(width=2),
    SegNet(width=2),
    DeepLabV3(**SMALL_RESNET),
    DeepLabV3(**SMALL_RESNET, output_stride=16, decoder=True),
    PSPNet(**SMALL_RESNET),
]
each_network = pytest.mark.parametrize("model", NETWORKS, ids=lambda model: type(model).__name__)


def initial_shapes(model, size=64, channels=3):
    images = jnp.zeros((1, size, size, channels))
    return jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))


def training_shapes(model, shape):
    """Shapes of the logits and of the collections after one training step."""
    images = jnp.zeros(shape)

    def run():
        variables = model.init(jax.random.key(0), images, train=False)
        rngs = {"dropout": jax.random.key(1)}
        return model.apply(variables, images, train=True, mutable=["batch_stats", "auxiliary"], rngs=rngs)

    return jax.eval_shape(run)


@each_network
def test_a_network_has_the_fields_and_the_documented_call_of_the_contract(model):
    assert {"num_classes", "axis_name"} <= {field.name for field in dataclasses.fields(model)}
    assert str(inspect.signature(type(model).__call__)).startswith("(self, images")
    assert (inspect.getdoc(type(model).__call__) or "").startswith("Compute float32 logits")
    with pytest.raises(NotImplementedError):
        Network().apply({}, jnp.zeros((1, 2, 2, 1)), train=False)


@each_network
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((1, 230, 630, 1), marks=pytest.mark.slow),
        pytest.param((2, 1600, 256, 3), marks=pytest.mark.slow),
        (1, 5, 7, 1),
    ],
)
def test_logits_are_float32_at_the_size_of_any_image(model, shape):
    logits, collections = training_shapes(model.clone(num_classes=5, dtype="bfloat16"), shape)
    for output in (logits, *jax.tree.leaves(collections.get("auxiliary", {}))):
        assert (output.shape, output.dtype) == ((*shape[:3], 5), jnp.float32)


@each_network
def test_in_double_precision_variables_and_logits_stay_float32(model):
    with enable_x64(True):
        logits, collections = training_shapes(model, (1, 32, 32, 1))
        variables = initial_shapes(model)
    assert {x.dtype for x in jax.tree.leaves((logits, collections, variables))} == {jnp.dtype("float32")}


@each_network
def test_the_smallest_documented_width_is_taken(model):
    logits, collections = training_shapes(model.clone(width=1), (1, 32, 32, 1))
    assert logits.shape == (1, 32, 32, 2)
    assert all(x.size for x in jax.tree.leaves(collections))


@each_network
def test_group_norm_has_no_running_statistics(model):
    _, collections = training_shapes(model.clone(norm="group"), (1, 64, 64, 1))
    assert set(collections) <= {"auxiliary"}


@each_network
def test_remat_keeps_the_parameters(model):
    chex.assert_trees_all_equal_shapes_and_dtypes(
        initial_shapes(model), initial_shapes(model.clone(remat=True))
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        UNet(width=2, depth=1),
        DeepLabV3(width=2, blocks=(1, 1, 1, 1), dropout=0.0, auxiliary=False),
    ],
    ids=lambda model: type(model).__name__,
)
def test_remat_recomputes_and_keeps_the_gradient(model):
    images = jax.random.normal(jax.random.key(1), (2, 24, 24, 1))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda x: jnp.asarray(rng.uniform(0.1, 1, x.shape), x.dtype), initial_shapes(model, channels=1)
    )

    def total(params, model):
        logits, _ = model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
        return (logits * images).mean()

    gradient = jax.grad(total)
    remat = model.clone(remat=True)
    assert "remat" in str(jax.make_jaxpr(lambda p: total(p, remat))(variables["params"]))
    assert "remat" not in str(jax.make_jaxpr(lambda p: total(p, model))(variables["params"]))
    plain = jax.jit(gradient, static_argnums=1)(variables["params"], model)
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(plain))
    chex.assert_trees_all_close(
        jax.jit(gradient, static_argnums=1)(variables["params"], remat), plain, atol=1e-5 * largest
    )


@functools.cache
def flax_results(name):
    """Logits in evaluation, gradient and running statistics in training, in the form of PyTorch's results."""
    case = CASES[name]
    images, cotangents = networks.images(case), networks.cotangents(case)
    variables = networks.variables(case, networks.torch_shapes(name))
    model, params = case.model, variables.pop("params")

    def total(params):
        logits, new = model.apply(
            {"params": params, **variables}, images, train=True, mutable=[*variables, "auxiliary"]
        )
        auxiliary = sum((output * cotangents).mean() for output in jax.tree.leaves(new.get("auxiliary", {})))
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


@functools.cache
def new_torch_results(name):
    return make_references.network(CASES[name])


FEW = ("unet",)
"""Networks that are compared with PyTorch; the others, whose encoder is deeper, are slow tests."""


# One test per network: most of its time is spent on compiling, once for all results.
@pytest.mark.parametrize(
    "torch_results", [networks.torch_results, pytest.param(new_torch_results, marks=pytest.mark.torch)]
)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name not in FEW else name for name in CASES],
)
def test_logits_gradient_and_statistics_equal_those_of_pytorch(name, torch_results):
    results, expected = flax_results(name), torch_results(name)
    tolerance = 1e-4 * np.ptp(expected["extremes"])
    np.testing.assert_allclose(results["logits"], expected["logits"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(results["extremes"], expected["extremes"], rtol=0, atol=tolerance)

    assert results["gradient"].shape == expected["gradient"].shape
    # Measured: 6e-5 of a norm or less, and 6e-4 where rounding changes the sign of a ReLU's input.
    largest = expected["gradient"][:, 0].max()
    np.testing.assert_allclose(results["gradient"], expected["gradient"], rtol=2e-3, atol=2e-4 * largest)

    assert results["statistics"].shape == expected["statistics"].shape
    np.testing.assert_allclose(results["statistics"], expected["statistics"], rtol=1e-4, atol=1e-5)


def number_of_parameters(model):
    return sum(x.size for x in jax.tree.leaves(initial_shapes(model)["params"]))


# torchvision's parameter count of VGG16, `num_params`, less the last layer of 1000 classes.
VGG16_WITHOUT_LOGITS = 138_357_544 - (4096 * 1000 + 1000)
# Parameters of the thirteen convolutions: less the two fully connected layers, too.
VGG16_CONVOLUTIONS = VGG16_WITHOUT_LOGITS - (512 * 49 * 4096 + 4096) - (4096 * 4096 + 4096)


def test_deeplabv3_has_the_parameter_count_of_torchvision():
    # `DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["num_params"]`
    assert number_of_parameters(DeepLabV3(num_classes=21)) == 42_004_074


def test_pspnet_has_the_parameter_count_of_mmsegmentation():
    # MMSegmentation's documentation of get_flops.py says 48.98 M (Cityscapes, 19 classes). Its ResNet-50 V1c
    # has a stem of three 3x3 convolutions with norms, where ResNet-50 has one 7x7 convolution.
    deep_stem = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64)
    stem = 49 * 3 * 64 + 2 * 64
    assert round((number_of_parameters(PSPNet(num_classes=19)) + deep_stem - stem) / 1e6, 2) == 48.98


def test_fcn8s_without_norms_has_the_parameters_of_vgg16_and_of_its_logits():
    logits = 21 * (4096 + 512 + 256) + 3 * 21 + 2 * 16 * 21 * 21
    parameters = number_of_parameters(FCN8s(num_classes=21, norm="none"))
    assert parameters == VGG16_WITHOUT_LOGITS + logits
    assert round(parameters / 1e6) == 134  # Badrinarayanan et al., arXiv:1511.00561, section 3


def test_the_encoder_of_segnet_has_the_parameters_of_vgg16_except_the_biases():
    kernels = [x.size for x in jax.tree.leaves(initial_shapes(SegNet())["params"]["backbone"]) if x.ndim == 4]
    biases = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512
    assert sum(kernels) == VGG16_CONVOLUTIONS - biases
    assert round(VGG16_CONVOLUTIONS / 1e6, 1) == 14.7  # Badrinarayanan et al., arXiv:1511.00561, section 3
