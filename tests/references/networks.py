"""Small versions of the five networks, ours and PyTorch's: sizes, names, weights from a seed.

Weights, images and directions are drawn by name on both sides, so that only PyTorch's answers are checked in:
`networks.npz`, made by `make_references.py`.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import numpy as np
from flax import traverse_util

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from balanced_jax.models.pretrained import DEEPLABV3, RESNET, by_our_addresses, fold_biases, vgg16

Shapes = dict[str, tuple[int, ...]]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A network in both frameworks."""

    model: nn.Module
    twin: str
    """PyTorch's class, in `torch_networks.py`."""
    names: Mapping[str, str]
    """Layers there, as patterns, and here."""
    arguments: dict[str, Any]
    """Of the twin, beside classes and channels."""
    shape: tuple[int, int, int, int] = field(default=(3, 44, 56, 3))
    """Of the images."""


def _under(prefix: str, names: Mapping[str, str]) -> dict[str, str]:
    return {rf"{prefix}\.{theirs}": ours for theirs, ours in names.items()}


def _units(names: Mapping[str, str]) -> dict[str, str]:
    """A convolution and its norm, which stand in a row there."""
    return {
        rf"{theirs}\.{i}": f"{ours}/{part}"
        for theirs, ours in names.items()
        for i, part in enumerate(("conv", "norm"))
    }


UNET = {
    r"units\.(\d+)\.0": r"Conv_\1",
    r"units\.(\d+)\.1": r"BatchNorm_\1",
    r"larger\.(\d+)": r"_Deconvolution_\1",
    "logits": "logits",
}
FCN = {name: name for name in ("logits32", "logits16", "logits8", "upsample32", "upsample16")}
SEGNET = {
    **_units({rf"decoder{i}\.{j}": f"decoder{i}/unit{j + 1}" for i in range(1, 6) for j in range(3)}),
    "logits": "logits",
}
PLUS = {
    **{name.replace(r"classifier\.0", "pyramid"): DEEPLABV3[name] for name in DEEPLABV3 if r"r\.0\." in name},
    **_under("backbone", RESNET),
    **_units({"fine": "fine", "refine": "refine", "head": "head"}),
    "logits": "logits",
}
PSP = {
    **_under("backbone", RESNET),
    **_units({rf"levels\.{bins}": f"level{bins}" for bins in (1, 2, 3, 6)}),
    **_units({"head": "head"}),
    **{name: ours for name, ours in DEEPLABV3.items() if name.startswith("aux")},
    "logits": "logits",
}

# Two bottlenecks in the stages whose second one has another dilation than the first.
RESNET_OF = {"width": 4, "blocks": (1, 1, 2, 2)}
CASES = {
    "unet": Case(
        UNet(num_classes=3, width=4, depth=2), "UNet", UNET, {"width": 4, "depth": 2}, (3, 21, 30, 1)
    ),
    "fcn8s": Case(
        FCN8s(num_classes=3, width=4, dropout=0.0),
        "FCN8s",
        {**vgg16(norms=True), **FCN},
        {"width": 4, "norms": True},
    ),
    "fcn8s without norms": Case(
        FCN8s(num_classes=3, width=4, norm="none", dropout=0.0),
        "FCN8s",
        {**vgg16(norms=False), **FCN},
        {"width": 4, "norms": False},
    ),
    "segnet": Case(SegNet(num_classes=3, width=4), "SegNet", {**vgg16(norms=True), **SEGNET}, {"width": 4}),
    # 14 by 17 features: the first of the three rates sees some of them, the others none.
    "deeplabv3": Case(
        DeepLabV3(num_classes=3, **RESNET_OF, dropout=0.0),
        "DeepLabV3",
        DEEPLABV3,
        {**RESNET_OF, "output_stride": 8},
        (3, 112, 136, 3),
    ),
    "deeplabv3+": Case(
        DeepLabV3(num_classes=3, **RESNET_OF, output_stride=16, decoder=True, auxiliary=False, dropout=0.0),
        "DeepLabV3Plus",
        PLUS,
        {**RESNET_OF, "output_stride": 16},
        (3, 110, 130, 1),
    ),
    "pspnet": Case(
        PSPNet(num_classes=3, **RESNET_OF, dropout=0.0), "PSPNet", PSP, {**RESNET_OF, "output_stride": 8}
    ),
}


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers that the name decides."""
    return np.random.default_rng(zlib.crc32(name.encode())).normal(size=shape).astype(np.float32)


def images(case: Case) -> np.ndarray:
    """[b, h, w, c]"""
    return drawn("images", case.shape)


def cotangents(case: Case) -> np.ndarray:
    """What each logit counts in the mean that is differentiated."""
    return drawn("cotangents", (*case.shape[:3], 3))


def weights(shapes: Shapes) -> Arrays:
    """PyTorch's parameters and running statistics, so that activations keep their size."""
    arrays = {}
    for name, shape in shapes.items():
        array = drawn(name, shape)
        if len(shape) == 4:
            array *= np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
        elif name.endswith(("weight", "running_var")):
            array = 0.5 + np.abs(array)
        else:
            array *= np.float32(0.1)
        arrays[name] = array
    return arrays


def ours(case: Case, tensors: Mapping[str, np.ndarray]) -> Arrays:
    """PyTorch's arrays by our addresses in our layout, biases in front of norms folded."""
    given = fold_biases(by_our_addresses(tensors, case.names))
    return dict(_in_our_layout(address, value) for address, (_, value) in given.items())


def variables(case: Case, shapes: Shapes) -> dict[str, Any]:
    """Of our network, equal to the twin's."""
    return traverse_util.unflatten_dict(ours(case, weights(shapes)), sep="/")


def projections(gradient: Mapping[str, np.ndarray]) -> np.ndarray:
    """Each parameter's gradient in two numbers, [parameters, 2]: its norm, and its part along a direction."""
    rows = [
        (np.linalg.norm(value), np.vdot(value, drawn(address, value.shape)) / np.sqrt(value.size))
        for address, value in sorted(gradient.items())
    ]
    return np.array(rows, np.float32)


def _in_our_layout(address: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    if "_Deconvolution" in address:
        if value.ndim == 1:
            return address, value.reshape(1, 1, 1, -1)
        return address.replace("kernel", "blocks/kernel"), value.transpose(0, 2, 3, 1)
    if "upsample" in address:  # flax does not turn the kernel of a deconvolution around
        return address, value.transpose(2, 3, 0, 1)[::-1, ::-1]
    return address, value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
