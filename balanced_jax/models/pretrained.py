"""Loading pretrained weights by address, such as `params/backbone/stem/conv/kernel`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from balanced_jax.models._pth import read_pth
from balanced_jax.models.vgg import STAGE_UNITS

_ARRAYS = {
    "weight": ("params", "kernel"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}
"""Collection and name of each array of a PyTorch layer."""

# Patterns of PyTorch's layer names, and the paths of the same layers in the variables.
RESNET_LAYERS = {
    r"conv1": "backbone/stem/conv",
    r"bn1": "backbone/stem/norm",
    r"layer(\d)\.(\d+)\.conv(\d)": r"backbone/stage\1_block\2/unit\3/conv",
    r"layer(\d)\.(\d+)\.bn(\d)": r"backbone/stage\1_block\2/unit\3/norm",
    r"layer(\d)\.(\d+)\.downsample\.0": r"backbone/stage\1_block\2/shortcut/conv",
    r"layer(\d)\.(\d+)\.downsample\.1": r"backbone/stage\1_block\2/shortcut/norm",
}
DEEPLABV3_LAYERS = {
    **{rf"backbone\.{pattern}": path for pattern, path in RESNET_LAYERS.items()},
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


def vgg16_layers(norms: bool) -> dict[str, str]:
    """Return the layers of VGG16, which PyTorch numbers along with ReLUs, pooling and norms."""
    paths, number = {}, 0
    for stage, units in enumerate(STAGE_UNITS, 1):
        for unit in range(1, units + 1):
            paths[rf"features\.{number}"] = f"backbone/stage{stage}/unit{unit}/conv"
            if norms:
                paths[rf"features\.{number + 1}"] = f"backbone/stage{stage}/unit{unit}/norm"
            number += 3 if norms else 2
        number += 1
    # The fully connected layers of torchvision's classifier and of timm's.
    return {**paths, r"classifier\.0|pre_logits\.fc1": "fc6", r"classifier\.3|pre_logits\.fc2": "fc7"}


def load_pretrained(path: str | Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's variables with pretrained weights in place of its own.

    Reads ResNet-50 (for DeepLabV3 and PSPNet) and VGG16 with and without norms (for FCN-8s and SegNet) with
    the layer names of torchvision or timm, and the whole of torchvision's `deeplabv3_resnet50`. The file must
    hold the whole encoder. Layers after the encoder are loaded where the network has them; logits of another
    number of classes keep their values. For gray images the first kernel is summed over the colors. A bias in
    front of a norm is subtracted from the running mean.

    Args:
        path: a `.safetensors` file (needs the package `safetensors`, extra `[pretrained]`), or a `.pth` file
            with a state dictionary (read without PyTorch, and without running code from the file).
        variables: the network's, as `init` returns them.

    Raises:
        OSError, ImportError: the file or the package `safetensors` is missing.
        ValueError: the file is of another kind, or arrays do not fit; names these, with both shapes.
    """
    tensors = _read(Path(path))
    loaded = fold_biases(by_address(tensors, _layers(tensors, path)))
    flat: dict[str, Any] = traverse_util.flatten_dict(dict(variables), sep="/")
    new, misfits = dict(flat), []
    for address in dict.fromkeys([*loaded, *flat]):
        is_encoder, is_logits = "/backbone/" in address, "logits/" in address
        if address not in loaded:
            if is_encoder:
                misfits.append(f"{address}: not in the file")
        elif address not in flat:
            if is_encoder:
                misfits.append(f"{loaded[address].name:.80}: not in the network")
        else:
            (name, tensor), shape = loaded[address], flat[address].shape
            array = _to_flax_layout(tensor, shape)
            if array.shape == shape:
                new[address] = jnp.asarray(array, flat[address].dtype)
            elif not is_logits:
                misfits.append(
                    f"{name:.80}: {tensor.shape} in the file, {_to_torch_shape(shape)} in the network"
                )
    if misfits:
        more = f"; and {len(misfits) - 5} more" if len(misfits) > 5 else ""
        raise ValueError(f"{path}: does not fit the network: {'; '.join(misfits[:5])}{more}")
    return traverse_util.unflatten_dict(new, sep="/")


class _Tensor(NamedTuple):
    name: str
    """Name in the file."""
    value: np.ndarray


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.exists() and not path.is_file():  # a pipe, which may never end
        raise ValueError(f"{path}: is no regular file")
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
    except (SafetensorError, LookupError, TypeError) as error:  # LookupError for a type that NumPy lacks
        raise ValueError(f"{path}: is damaged: {error}") from error


def _layers(tensors: Mapping[str, np.ndarray], path: str | Path) -> dict[str, str]:
    if "backbone.layer1.0.conv1.weight" in tensors:
        return DEEPLABV3_LAYERS
    if "layer1.0.conv1.weight" in tensors:
        return RESNET_LAYERS
    if "features.0.weight" in tensors:
        return vgg16_layers(norms="features.1.running_mean" in tensors)
    names = ", ".join(name[:80] for name in list(tensors)[:3])
    raise ValueError(
        f"{path}: has no layers of ResNet-50, VGG16 or DeepLabV3 as torchvision names them; its first arrays "
        f"are {names or 'none'}"
    )


def by_address(tensors: Mapping[str, np.ndarray], layers: Mapping[str, str]) -> dict[str, _Tensor]:
    """Return the tensors by address; a tensor whose layer matches no pattern is left out."""
    tensor_of = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        for pattern, path in layers.items():
            if kind in _ARRAYS and (match := re.fullmatch(pattern, layer)):
                collection, array = _ARRAYS[kind]
                if kind == "weight" and tensor.ndim == 1:
                    array = "scale"
                tensor_of[f"{collection}/{match.expand(path)}/{array}"] = _Tensor(name, tensor)
    return tensor_of


def fold_biases(tensors: Mapping[str, _Tensor]) -> dict[str, _Tensor]:
    """Subtract each bias in front of a norm from the running mean of the norm; tensors are by address."""
    folded = dict(tensors)
    for address, (_, bias) in tensors.items():
        mean = address.replace("params/", "batch_stats/").replace("/conv/bias", "/norm/mean")
        # A bias of another shape stays, and fits no network; subtracted, it would be broadcast.
        if address.endswith("/conv/bias") and mean in tensors and tensors[mean].value.shape == bias.shape:
            difference = np.subtract(tensors[mean].value, bias, dtype=np.float32)
            folded[mean] = _Tensor(tensors[mean].name, difference)
            del folded[address]
    return folded


def _to_flax_layout(tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a kernel [out, in, h, w] or [out, in * h * w] as [h, w, in, out], colors summed if needed."""
    if len(shape) == 4 and tensor.ndim == 2 and tensor.shape[1] == np.prod(shape[:3]):
        tensor = tensor.reshape(-1, shape[2], *shape[:2])
    if tensor.ndim != 4:
        return tensor
    kernel = tensor.transpose(2, 3, 1, 0)
    to_gray = (kernel.shape[2], shape[2]) == (3, 1)
    return kernel.sum(2, dtype=np.float32, keepdims=True) if to_gray else kernel


def _to_torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
