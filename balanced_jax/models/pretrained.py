"""Pretrained weights: a file in PyTorch's layout in, the variables of a network out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from balanced_jax.models._pth import read_pth
from balanced_jax.models.vgg import STAGES

PARTS = {
    "weight": ("params", "kernel"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}
"""What the arrays of a layer are called in the files, and here: collection and name."""

# What layers are called in the files, as patterns, and here.
RESNET = {
    r"conv1": "backbone/stem/conv",
    r"bn1": "backbone/stem/norm",
    r"layer(\d)\.(\d+)\.conv(\d)": r"backbone/stage\1_block\2/unit\3/conv",
    r"layer(\d)\.(\d+)\.bn(\d)": r"backbone/stage\1_block\2/unit\3/norm",
    r"layer(\d)\.(\d+)\.downsample\.0": r"backbone/stage\1_block\2/shortcut/conv",
    r"layer(\d)\.(\d+)\.downsample\.1": r"backbone/stage\1_block\2/shortcut/norm",
}
DEEPLABV3 = {
    **{rf"backbone\.{name}": ours for name, ours in RESNET.items()},
    r"classifier\.0\.convs\.0\.0": "pyramid/point/conv",
    r"classifier\.0\.convs\.0\.1": "pyramid/point/norm",
    r"classifier\.0\.convs\.([123])\.0": r"pyramid/atrous\1/conv",
    r"classifier\.0\.convs\.([123])\.1": r"pyramid/atrous\1/norm",
    r"classifier\.0\.convs\.4\.1": "pyramid/image/conv",
    r"classifier\.0\.convs\.4\.2": "pyramid/image/norm",
    r"classifier\.0\.project\.0": "pyramid/project/conv",
    r"classifier\.0\.project\.1": "pyramid/project/norm",
    r"classifier\.1": "head/conv",
    r"classifier\.2": "head/norm",
    r"classifier\.4": "logits",
    r"aux_classifier\.0": "auxiliary/unit/conv",
    r"aux_classifier\.1": "auxiliary/unit/norm",
    r"aux_classifier\.4": "auxiliary/logits",
}


def vgg16(norms: bool) -> dict[str, str]:
    """Layers are numbered along with the ReLUs, poolings and norms between them."""
    names, number = {}, 0
    for stage, units in enumerate(STAGES, 1):
        for unit in range(1, units + 1):
            names[rf"features\.{number}"] = f"backbone/stage{stage}/unit{unit}/conv"
            if norms:
                names[rf"features\.{number + 1}"] = f"backbone/stage{stage}/unit{unit}/norm"
            number += 3 if norms else 2
        number += 1
    # The wide layers in torchvision's classifier and in timm's.
    return {**names, r"classifier\.0|pre_logits\.fc1": "fc6", r"classifier\.3|pre_logits\.fc2": "fc7"}


def load_pretrained(path: str | Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Puts pretrained weights in the place of a network's own.

    Read are ResNet-50 (for DeepLabV3 and PSPNet) and VGG16 with and without norms (for FCN-8s and SegNet), as
    torchvision and timm name their layers, and the whole of torchvision's `deeplabv3_resnet50`. The encoder
    must be in the file completely. Of what comes behind it, all is taken that the network has as well; scores
    of another number of classes stay as they were.

    A first convolution for grey images is the sum over the colours. A bias in front of a norm is subtracted
    from the running mean.

    Args:
        path: a `.safetensors` file (needs the package `safetensors`, extra `[pretrained]`), or a `.pth` file
            with a state dictionary (needs no PyTorch, and nothing that the file may hold is run).
        variables: of the network, as `init` makes them.

    Returns:
        New variables.

    Raises:
        OSError, ImportError: the file, or the package `safetensors`, is not there.
        ValueError: the file is none of these, or does not fit; says what does not, with both shapes.

    Examples:
        >>> variables = load_pretrained("resnet50.pth", variables)  # doctest: +SKIP
    """
    tensors = _read(Path(path))
    given = fold_biases(by_our_addresses(tensors, _names(tensors, path)))
    flat: dict[str, Any] = traverse_util.flatten_dict(dict(variables), sep="/")
    new, misfits = dict(flat), []
    for address in dict.fromkeys([*given, *flat]):
        encoder, scores = "/backbone/" in address, "logits/" in address
        if address not in given:
            if encoder:
                misfits.append(f"{address}: not in the file")
        elif address not in flat:
            if encoder:
                misfits.append(f"{given[address].name}: not in the network")
        else:
            (name, theirs), wanted = given[address], flat[address].shape
            ours = _in_our_layout(theirs, wanted)
            if ours.shape == wanted:
                new[address] = jnp.asarray(ours, flat[address].dtype)
            elif not scores:
                misfits.append(
                    f"{name}: {theirs.shape} in the file, {_in_their_layout(wanted)} in the network"
                )
    if misfits:
        more = f"; and {len(misfits) - 5} more" if len(misfits) > 5 else ""
        raise ValueError(f"{path}: does not fit the network: {'; '.join(misfits[:5])}{more}")
    return traverse_util.unflatten_dict(new, sep="/")


class Tensor(NamedTuple):
    """What a file holds, and what it is called there."""

    name: str
    value: np.ndarray


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.suffix != ".safetensors":
        return read_pth(path)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(
            f"{path}: needs the package safetensors; pip install 'balanced_jax[pretrained]'"
        ) from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: is damaged: {error}") from error


def _names(tensors: Mapping[str, np.ndarray], path: str | Path) -> dict[str, str]:
    """The names of layers that a file uses."""
    if "backbone.layer1.0.conv1.weight" in tensors:
        return DEEPLABV3
    if "layer1.0.conv1.weight" in tensors:
        return RESNET
    if "features.0.weight" in tensors:
        return vgg16(norms="features.1.running_mean" in tensors)
    first = ", ".join(list(tensors)[:3])
    raise ValueError(
        f"{path}: is no ResNet-50, VGG16 or DeepLabV3 as torchvision names their layers; its first names are "
        f"{first or 'none'}"
    )


def by_our_addresses(tensors: Mapping[str, np.ndarray], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors by their places in the variables, less those of layers without a name here."""
    given = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        for theirs, ours in names.items():
            if part in PARTS and (match := re.fullmatch(theirs, layer)):
                collection, our_part = PARTS[part]
                if part == "weight" and tensor.ndim == 1:
                    our_part = "scale"
                given[f"{collection}/{match.expand(ours)}/{our_part}"] = Tensor(name, tensor)
    return given


def fold_biases(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Subtracts each bias in front of a norm from the norm's running mean."""
    folded = dict(given)
    for address, (_, bias) in given.items():
        mean = address.replace("params/", "batch_stats/").replace("/conv/bias", "/norm/mean")
        if address.endswith("/conv/bias") and mean in given:
            folded[mean] = Tensor(given[mean].name, given[mean].value - bias)
            del folded[address]
    return folded


def _in_our_layout(tensor: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    """A kernel [out, in, h, w] or [out, in * h * w] as [h, w, in, out]; colours summed if grey is wanted."""
    if len(wanted) == 4 and tensor.ndim == 2 and tensor.shape[1] == np.prod(wanted[:3]):
        tensor = tensor.reshape(-1, wanted[2], *wanted[:2])
    if tensor.ndim != 4:
        return tensor
    kernel = tensor.transpose(2, 3, 1, 0)
    return kernel.sum(2, keepdims=True) if (kernel.shape[2], wanted[2]) == (3, 1) else kernel


def _in_their_layout(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
