"""Small versions of the five networks in JAX and PyTorch: sizes, layer names, random weights.

Both sides draw weights, images and directions from seeds made of their names, so that the repository holds
PyTorch's results only: `networks.npz`, made by `make_references.py`.
"""

import functools
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from flax import traverse_util

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from balanced_jax.models.pretrained import (
    DEEPLABV3_LAYERS,
    RESNET_LAYERS,
    by_address,
    fold_biases,
    vgg16_layers,
)

Shapes = dict[str, tuple[int, ...]]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A network in both frameworks."""

    model: nn.Module
    twin: str
    """Class of the PyTorch network in `torch_networks.py`, called the twin."""
    layers: Mapping[str, str]
    """Patterns of the twin's layer names, and the paths of these layers in the variables."""
    arguments: dict[str, Any]
    """Arguments of the twin, besides classes and channels."""
    shape: tuple[int, int, int, int] = field(default=(3, 44, 56, 3))
    """Shape of the images."""


def _with_prefix(prefix: str, layers: Mapping[str, str]) -> dict[str, str]:
    return {rf"{prefix}\.{pattern}": path for pattern, path in layers.items()}


def _units(units: Mapping[str, str]) -> dict[str, str]:
    """Return the layers of units, which the twin has as a sequence of convolution and norm."""
    return {
        rf"{pattern}\.{i}": f"{path}/{layer}"
        for pattern, path in units.items()
        for i, layer in enumerate(("conv", "norm"))
    }


def unet_layers(depth: int) -> dict[str, str]:
    """Return the layers of U-Net, whose units the twin numbers in the order of the forward pass."""
    numbers = range(1, depth + 1)
    levels = [*(f"encoder{i}" for i in numbers), "bottom", *(f"decoder{i}" for i in reversed(numbers))]
    units = [f"{level}/unit{j}" for level in levels for j in (1, 2)]
    return {
        **_units({rf"units\.{i}": unit for i, unit in enumerate(units)}),
        **{rf"larger\.{i}": f"upsample{depth - i}" for i in range(depth)},
        "logits": "logits",
    }


FCN = {name: name for name in ("logits32", "logits16", "logits8", "upsample32", "upsample16")}
SEGNET = {
    **_units({rf"decoder{i}\.{j}": f"decoder{i}/unit{j + 1}" for i in range(1, 6) for j in range(3)}),
    "logits": "logits",
}
PLUS = {
    **{
        pattern.replace(r"classifier\.0", "pyramid"): path
        for pattern, path in DEEPLABV3_LAYERS.items()
        if r"r\.0\." in pattern
    },
    **_with_prefix("backbone", RESNET_LAYERS),
    **_units({"fine": "fine", "refine": "refine", "head": "head"}),
    "logits": "logits",
}
PSP = {
    **_with_prefix("backbone", RESNET_LAYERS),
    **_units({rf"levels\.{bins}": f"level{bins}" for bins in (1, 2, 3, 6)}),
    **_units({"head": "head"}),
    **{pattern: path for pattern, path in DEEPLABV3_LAYERS.items() if pattern.startswith("aux")},
    "logits": "logits",
}

# Two bottlenecks in the stages whose second one has another dilation than the first.
RESNET = {"width": 4, "blocks": (1, 1, 2, 2)}
CASES = {
    "unet": Case(
        UNet(num_classes=3, width=4, depth=2),
        "UNet",
        unet_layers(2),
        {"width": 4, "depth": 2},
        (3, 21, 30, 1),
    ),
    "fcn8s": Case(
        FCN8s(num_classes=3, width=4, dropout=0.0),
        "FCN8s",
        {**vgg16_layers(norms=True), **FCN},
        {"width": 4, "norms": True},
    ),
    "fcn8s without norms": Case(
        FCN8s(num_classes=3, width=4, norm="none", dropout=0.0),
        "FCN8s",
        {**vgg16_layers(norms=False), **FCN},
        {"width": 4, "norms": False},
    ),
    "segnet": Case(
        SegNet(num_classes=3, width=4), "SegNet", {**vgg16_layers(norms=True), **SEGNET}, {"width": 4}
    ),
    # 14 x 17 features: an atrous convolution of the smallest rate reads some neighbors, the others read none.
    "deeplabv3": Case(
        DeepLabV3(num_classes=3, **RESNET, dropout=0.0),
        "DeepLabV3",
        DEEPLABV3_LAYERS,
        {**RESNET, "output_stride": 8},
        (3, 112, 136, 3),
    ),
    "deeplabv3+": Case(
        DeepLabV3(num_classes=3, **RESNET, output_stride=16, decoder=True, auxiliary=False, dropout=0.0),
        "DeepLabV3Plus",
        PLUS,
        {**RESNET, "output_stride": 16},
        (3, 110, 130, 1),
    ),
    "pspnet": Case(
        PSPNet(num_classes=3, **RESNET, dropout=0.0), "PSPNet", PSP, {**RESNET, "output_stride": 8}
    ),
}


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal numbers with the name as seed."""
    return np.random.default_rng(zlib.crc32(name.encode())).normal(size=shape).astype(np.float32)


def images(case: Case) -> np.ndarray:
    """Return the images of a case [b, h, w, c]."""
    return draw("images", case.shape)


def cotangents(case: Case) -> np.ndarray:
    """Return the cotangents of the logits."""
    return draw("cotangents", (*case.shape[:3], 3))


def weights(shapes: Shapes) -> Arrays:
    """Draw a twin's parameters and running statistics, scaled so that activations keep their size."""
    arrays = {}
    for name, shape in shapes.items():
        array = draw(name, shape)
        if len(shape) == 4:
            array *= np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
        elif name.endswith(("weight", "running_var")):
            array = 0.5 + np.abs(array)
        else:
            array *= np.float32(0.1)
        arrays[name] = array
    return arrays


def to_flax(case: Case, tensors: Mapping[str, np.ndarray]) -> Arrays:
    """Convert a twin's tensors to flax's layout, by address, with biases in front of norms folded."""
    tensors_by_address = fold_biases(by_address(tensors, case.layers))
    return dict(_to_flax_layout(address, value) for address, (_, value) in tensors_by_address.items())


def variables(case: Case, shapes: Shapes) -> dict[str, Any]:
    """Return the network's variables, equal to the twin's."""
    return traverse_util.unflatten_dict(to_flax(case, weights(shapes)), sep="/")


@functools.cache
def torch_results(name: str) -> dict[str, np.ndarray]:
    """Read PyTorch's results for a case, as `make_references.network` returns them."""
    with np.load(Path(__file__).with_name("networks.npz")) as file:
        return {key.removeprefix(f"{name}/"): file[key] for key in file if key.startswith(f"{name}/")}


def torch_shapes(name: str) -> Shapes:
    """Read the shapes in the state dictionary of a twin."""
    shapes = json.loads(str(torch_results(name)["shapes"]))
    return {array: tuple(shape) for array, shape in shapes.items()}


def state_dictionary(name: str) -> Arrays:
    """Return the state dictionary of a twin."""
    return weights(torch_shapes(name))


def encoder(name: str) -> Arrays:
    """Return the layers of a twin's encoder, named as in the file of a classifier."""
    layers = {k: x for k, x in state_dictionary(name).items() if k.startswith(("backbone.", "features."))}
    return {k.removeprefix("backbone."): x for k, x in layers.items()}


def projections(gradient: Mapping[str, np.ndarray]) -> np.ndarray:
    """Reduce each parameter's gradient to its norm and its projection on a direction, [parameters, 2]."""
    rows = [
        (np.linalg.norm(value), np.vdot(value, draw(address, value.shape)) / np.sqrt(value.size))
        for address, value in sorted(gradient.items())
    ]
    return np.array(rows, np.float32)


def _to_flax_layout(address: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    if "upsample" in address:
        if value.ndim == 1:
            return address, value.reshape(1, 1, 1, -1)
        if value.shape[2:] == (2, 2):
            return address.replace("kernel", "blocks/kernel"), value.transpose(0, 2, 3, 1)
        # flax does not flip the kernel of a deconvolution.
        return address, value.transpose(2, 3, 0, 1)[::-1, ::-1]
    return address, value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
