"""Pretrained weights: from files in torchvision's and timm's layout into our networks."""

import collections
import functools
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import save_file

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, load_pretrained
from balanced_jax.models._pth import read_pth
from tests.references import networks
from tests.references.networks import CASES, RESNET_OF

FILE = Path(__file__).parents[1] / "references" / "networks.npz"


@functools.cache
def state_dictionary(name):
    """What a twin's `state_dict()` holds; its names and shapes are checked in."""
    with np.load(FILE) as file:
        return networks.weights(json.loads(str(file[f"{name}/shapes"])))


def variables(model, channels=3):
    images = jnp.zeros((1, 64, 64, channels))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return jax.tree.map(lambda x: np.full(x.shape, -7, x.dtype), shapes)


def encoder(name, prefix="", **more):
    """The layers of a twin's encoder alone, as in a file of a classifier."""
    tensors = {k: x for k, x in state_dictionary(name).items() if k.startswith(("backbone.", "features."))}
    return {prefix + k.removeprefix("backbone."): x for k, x in tensors.items()} | more


def saved(folder, tensors):
    path = folder / "weights.safetensors"
    save_file({name: np.ascontiguousarray(x) for name, x in tensors.items()}, path)
    return path


def flat(tree) -> dict:
    return traverse_util.flatten_dict(dict(tree), sep="/")


def test_the_whole_of_torchvisions_deeplabv3_loads_by_name(tmp_path):
    path = saved(tmp_path, state_dictionary("deeplabv3"))
    loaded = load_pretrained(path, variables(CASES["deeplabv3"].model))
    # `test_networks` holds these variables against PyTorch's answers.
    wanted = networks.variables(
        CASES["deeplabv3"], {k: x.shape for k, x in state_dictionary("deeplabv3").items()}
    )
    chex.assert_trees_all_equal(loaded, jax.tree.map(jnp.asarray, wanted))


def test_scores_of_other_classes_stay_as_they_were(tmp_path):
    path = saved(tmp_path, state_dictionary("deeplabv3"))
    loaded = load_pretrained(path, variables(CASES["deeplabv3"].model.clone(num_classes=5)))
    kept = {address for address, x in flat(loaded).items() if (x == -7).all()}
    assert kept == {
        f"params/{layer}logits/{part}" for layer in ("", "auxiliary/") for part in ("kernel", "bias")
    }


@pytest.mark.parametrize("model", [PSPNet, DeepLabV3])
def test_a_resnet_fills_the_encoder_and_nothing_else(model, tmp_path):
    path = saved(
        tmp_path, encoder("deeplabv3", **{"fc.weight": np.zeros((10, 128)), "fc.bias": np.zeros(10)})
    )
    loaded = flat(load_pretrained(path, variables(model(**RESNET_OF))))
    assert {"/backbone/" in address for address, x in loaded.items() if (x == -7).all()} == {False}
    assert all((x == -7).all() for address, x in loaded.items() if "/backbone/" not in address)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("model", [FCN8s, SegNet])
def test_a_bias_in_front_of_a_norm_is_folded_into_the_running_mean(model, suffix, tmp_path):
    if suffix == "pth":
        path = as_pth(tmp_path, state_dictionary("segnet"))
    else:
        path = saved(tmp_path, state_dictionary("segnet"))
    loaded = flat(load_pretrained(path, variables(model(width=4))))
    theirs = state_dictionary("segnet")
    np.testing.assert_array_equal(
        loaded["batch_stats/backbone/stage2/unit1/norm/mean"],
        theirs["features.8.running_mean"] - theirs["features.7.bias"],
    )
    np.testing.assert_array_equal(
        loaded["batch_stats/backbone/stage5/unit3/norm/var"], theirs["features.41.running_var"]
    )


@pytest.mark.parametrize("names", [("classifier.0", "classifier.3"), ("pre_logits.fc1", "pre_logits.fc2")])
def test_the_wide_layers_of_vgg16_become_convolutions(names, tmp_path):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(256, 32, 7, 7)).astype(np.float32)
    second = rng.normal(size=(256, 256, 1, 1)).astype(np.float32)
    wide: dict = {f"{name}.bias": np.ones(256, np.float32) for name in names}
    # torchvision keeps them as matrices, timm as convolutions.
    matrices = names[0].startswith("classifier")
    wide[f"{names[0]}.weight"] = first.reshape(256, -1) if matrices else first
    wide[f"{names[1]}.weight"] = second.reshape(256, -1) if matrices else second
    tensors = {k: x for k, x in state_dictionary("fcn8s without norms").items() if k.startswith("features")}
    loaded = flat(load_pretrained(saved(tmp_path, tensors | wide), variables(FCN8s(width=4, norm="none"))))
    np.testing.assert_array_equal(loaded["params/fc6/kernel"], first.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(loaded["params/fc7/kernel"], second.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(
        loaded["params/backbone/stage1/unit1/conv/bias"], tensors["features.0.bias"]
    )


def test_grey_images_see_the_sum_over_the_colours(tmp_path):
    path = saved(tmp_path, encoder("deeplabv3"))
    grey = flat(load_pretrained(path, variables(PSPNet(**RESNET_OF), channels=1)))
    colour = flat(load_pretrained(path, variables(PSPNet(**RESNET_OF))))
    stem = "params/backbone/stem/conv/kernel"
    np.testing.assert_allclose(grey[stem], colour[stem].sum(2, keepdims=True), atol=1e-7)


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        (
            PSPNet(width=8, blocks=(1, 1, 2, 2)),
            "deeplabv3",
            r"conv1\.weight: \(4, 3, 7, 7\) in the file, \(8, 3, 7, 7\) in the network",
        ),
        (PSPNet(width=4, blocks=(1, 1, 2, 3)), "deeplabv3", "stage4_block2/.*: not in the file"),
        (PSPNet(width=4, blocks=(1, 1, 2, 1)), "deeplabv3", r"layer4\.1\.bn1\.weight: not in the network"),
        (PSPNet(**RESNET_OF, norm="group"), "deeplabv3", r"bn1\.running_mean: not in the network"),
        (SegNet(width=4), "fcn8s without norms", r"features\.0\.bias: not in the network"),
        (SegNet(width=4), "deeplabv3", r"conv1\.weight: not in the network"),
        (FCN8s(width=4, norm="none"), "fcn8s", r"features\.1\.bias: not in the network"),
    ],
)
def test_what_does_not_fit_is_named_with_both_shapes(model, name, words, tmp_path):
    with pytest.raises(ValueError, match=words) as caught:
        load_pretrained(saved(tmp_path, encoder(name)), variables(model))
    assert re.search(r"does not fit the network: ([^;]*; ){0,5}(and \d+ more|[^;]*)$", str(caught.value))


def test_a_file_of_another_network_is_refused(tmp_path):
    path = saved(tmp_path, {"conv_stem.weight": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"no ResNet-50, VGG16 or DeepLabV3 .* conv_stem\.weight"):
        load_pretrained(path, variables(PSPNet(**RESNET_OF)))


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(saved(tmp_path, encoder("deeplabv3")).read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"half\.safetensors: is damaged"):
        load_pretrained(path, variables(PSPNet(**RESNET_OF)))


class Global:
    """Stands for a function of PyTorch in a pickle: written by its name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Stands for a call in a pickle."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


PythonPickler: Any = pickle._Pickler  # pyright: ignore[reportAttributeAccessIssue]


class Pickler(PythonPickler):
    """Writes what PyTorch writes, without PyTorch."""

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


REBUILD = Global("torch._utils", "_rebuild_tensor_v2")


def as_pth(folder, tensors, **more):
    """A `.pth` file as torch.save writes it: tensors of float32."""
    content, path = collections.OrderedDict(), folder / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for i, (name, x) in enumerate(tensors.items()):
            storage = ("storage", Global("torch", "FloatStorage"), str(i), "cpu", x.size)
            strides = tuple(s // 4 for s in np.ascontiguousarray(x).strides)
            content[name] = Call(REBUILD, storage, 0, x.shape, strides, False, collections.OrderedDict())
            archive.writestr(f"weights/data/{i}", np.ascontiguousarray(x).tobytes())
        with archive.open("weights/data.pkl", "w") as file:
            Pickler(file, protocol=2).dump(content | more)
    return path


def test_a_pth_file_is_read_without_pytorch(tmp_path):
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float32)}
    chex.assert_trees_all_equal(read_pth(as_pth(tmp_path, tensors)), tensors)


def test_nothing_that_a_pth_file_holds_is_run(tmp_path):
    touched = tmp_path / "touched"
    path = as_pth(
        tmp_path,
        {},
        evil=Call(Global("pathlib", "Path.touch"), Call(Global("pathlib", "Path"), str(touched))),
    )
    with pytest.raises(ValueError, match=r"weights\.pth: .* holds pathlib\.Path"):
        read_pth(path)
    path = as_pth(tmp_path, {}, evil=Call(Global("builtins", "eval"), f"open({str(touched)!r}, 'w')"))
    with pytest.raises(ValueError, match=r"holds builtins\.eval"):
        read_pth(path)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (5,), (1,)), (1, (4,), (1,)), (0, (2,), (-1,)), (-1, (2,), (1,))]
)
def test_a_tensor_beyond_its_numbers_is_refused(offset, shape, strides, tmp_path):
    path = as_pth(tmp_path, {"a": np.zeros(4, np.float32)})
    storage = ("storage", Global("torch", "FloatStorage"), "0", "cpu", 4)
    with zipfile.ZipFile(path) as archive:
        numbers = archive.read("weights/data/0")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data/0", numbers)
        with archive.open("weights/data.pkl", "w") as file:
            Pickler(file, protocol=2).dump({"a": Call(REBUILD, storage, offset, shape, strides, False, None)})
    with pytest.raises(ValueError, match="reaches beyond its 4 numbers"):
        read_pth(path)


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps([1, 2])])
def test_what_is_no_pth_file_is_named(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth: is no file of tensors"):
        read_pth(path)


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_what_torch_saves_is_read(zipped, tmp_path):
    import torch  # pyright: ignore[reportMissingImports]

    whole = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    tensors = collections.OrderedDict(
        whole=whole,
        view=whole[:, 1:, ::2],  # shares its numbers
        turned=whole.permute(2, 0, 1),
        half=whole.half(),
        brain=whole.bfloat16(),
        number=torch.tensor(3),
        parameter=torch.nn.Parameter(whole + 1),
        empty=torch.zeros(0, 3),
    )
    path = tmp_path / "weights.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    read = read_pth(path)
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name].astype(np.float32), tensor.detach().float().numpy())
