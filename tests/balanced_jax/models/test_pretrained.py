"""Pretrained weights: files with the layer names of torchvision and timm, loaded into the networks."""

import os
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import save_file

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, load_pretrained
from tests.balanced_jax.models.pth_files import write_pth
from tests.references import networks
from tests.references.networks import CASES, RESNET, encoder, state_dictionary


def variables(model, channels=3):
    images = jnp.zeros((1, 64, 64, channels))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return jax.tree.map(lambda x: np.full(x.shape, -7, x.dtype), shapes)


def saved(folder, tensors):
    path = folder / "weights.safetensors"
    save_file({name: np.ascontiguousarray(x) for name, x in tensors.items()}, path)
    return path


def flat(tree) -> dict:
    return traverse_util.flatten_dict(dict(tree), sep="/")


def test_the_whole_of_torchvisions_deeplabv3_loads_by_name(tmp_path):
    path = saved(tmp_path, state_dictionary("deeplabv3"))
    loaded = load_pretrained(path, variables(CASES["deeplabv3"].model))
    # `test_networks` compares the results of these variables with PyTorch's.
    expected = networks.variables(CASES["deeplabv3"], networks.torch_shapes("deeplabv3"))
    chex.assert_trees_all_equal(loaded, jax.tree.map(jnp.asarray, expected))


def test_logits_of_another_number_of_classes_keep_their_values(tmp_path):
    path = saved(tmp_path, state_dictionary("deeplabv3"))
    loaded = load_pretrained(path, variables(CASES["deeplabv3"].model.clone(num_classes=5)))
    kept = {address for address, x in flat(loaded).items() if (x == -7).all()}
    assert kept == {
        f"params/{layer}logits/{part}" for layer in ("", "auxiliary/") for part in ("kernel", "bias")
    }


@pytest.mark.parametrize("model", [PSPNet, DeepLabV3])
def test_a_resnet_fills_the_encoder_and_nothing_else(model, tmp_path):
    classifier = {"fc.weight": np.zeros((10, 128)), "fc.bias": np.zeros(10)}
    path = saved(tmp_path, encoder("deeplabv3") | classifier)
    loaded = flat(load_pretrained(path, variables(model(**RESNET))))
    assert {"/backbone/" in address for address, x in loaded.items() if (x == -7).all()} == {False}
    assert all((x == -7).all() for address, x in loaded.items() if "/backbone/" not in address)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("model", [FCN8s, SegNet])
def test_a_bias_in_front_of_a_norm_is_folded_into_the_running_mean(model, suffix, tmp_path):
    if suffix == "pth":
        path = write_pth(tmp_path, state_dictionary("segnet"))
    else:
        path = saved(tmp_path, state_dictionary("segnet"))
    loaded = flat(load_pretrained(path, variables(model(width=4))))
    tensors = state_dictionary("segnet")
    np.testing.assert_array_equal(
        loaded["batch_stats/backbone/stage2/unit1/norm/mean"],
        tensors["features.8.running_mean"] - tensors["features.7.bias"],
    )
    np.testing.assert_array_equal(
        loaded["batch_stats/backbone/stage5/unit3/norm/var"], tensors["features.41.running_var"]
    )


@pytest.mark.parametrize("names", [("classifier.0", "classifier.3"), ("pre_logits.fc1", "pre_logits.fc2")])
def test_the_fully_connected_layers_of_vgg16_become_convolutions(names, tmp_path):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(256, 32, 7, 7)).astype(np.float32)
    second = rng.normal(size=(256, 256, 1, 1)).astype(np.float32)
    connected: dict = {f"{name}.bias": np.ones(256, np.float32) for name in names}
    # torchvision keeps them as matrices, timm as convolutions.
    matrices = names[0].startswith("classifier")
    connected[f"{names[0]}.weight"] = first.reshape(256, -1) if matrices else first
    connected[f"{names[1]}.weight"] = second.reshape(256, -1) if matrices else second
    tensors = {k: x for k, x in state_dictionary("fcn8s without norms").items() if k.startswith("features")}
    loaded = flat(
        load_pretrained(saved(tmp_path, tensors | connected), variables(FCN8s(width=4, norm="none")))
    )
    np.testing.assert_array_equal(loaded["params/fc6/kernel"], first.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(loaded["params/fc7/kernel"], second.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(
        loaded["params/backbone/stage1/unit1/conv/bias"], tensors["features.0.bias"]
    )


def test_for_gray_images_the_first_kernel_is_summed_over_the_colors(tmp_path):
    path = saved(tmp_path, encoder("deeplabv3"))
    gray = flat(load_pretrained(path, variables(PSPNet(**RESNET), channels=1)))
    color = flat(load_pretrained(path, variables(PSPNet(**RESNET))))
    stem = "params/backbone/stem/conv/kernel"
    np.testing.assert_allclose(gray[stem], color[stem].sum(2, keepdims=True), atol=1e-7)


def test_colors_in_half_precision_are_summed_in_single(tmp_path):
    half = {name: x.astype(np.float16) for name, x in encoder("deeplabv3").items()}
    gray = flat(load_pretrained(saved(tmp_path, half), variables(PSPNet(**RESNET), channels=1)))
    expected = half["conv1.weight"].astype(np.float64).sum(1, keepdims=True).transpose(2, 3, 1, 0)
    # Two sums, each below 1, are rounded by 2**-25 at most.
    np.testing.assert_allclose(gray["params/backbone/stem/conv/kernel"], expected, rtol=0, atol=2**-24)


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
        (PSPNet(**RESNET, norm="group"), "deeplabv3", r"bn1\.running_mean: not in the network"),
        (SegNet(width=4), "fcn8s without norms", r"features\.0\.bias: not in the network"),
        (SegNet(width=4), "deeplabv3", r"conv1\.weight: not in the network"),
        (FCN8s(width=4, norm="none"), "fcn8s", r"features\.1\.bias: not in the network"),
    ],
)
def test_layers_that_do_not_fit_are_named_with_both_shapes(model, name, words, tmp_path):
    with pytest.raises(ValueError, match=words) as caught:
        load_pretrained(saved(tmp_path, encoder(name)), variables(model))
    assert re.search(r"does not fit the network: ([^;]*; ){0,5}(and \d+ more|[^;]*)$", str(caught.value))


def test_a_file_of_another_network_is_refused(tmp_path):
    path = saved(tmp_path, {"conv_stem.weight": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"no layers of ResNet-50, VGG16 or DeepLabV3 .* conv_stem\.weight"):
        load_pretrained(path, variables(PSPNet(**RESNET)))


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(saved(tmp_path, encoder("deeplabv3")).read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"half\.safetensors: is damaged"):
        load_pretrained(path, variables(PSPNet(**RESNET)))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_pipe_or_a_folder_is_named_and_not_read(tmp_path, suffix):
    pipe, folder = tmp_path / f"pipe{suffix}", tmp_path / f"folder{suffix}"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(ValueError, match=f"^{path}: is no regular file"):
            load_pretrained(path, {})


def test_a_bias_of_another_shape_than_its_mean_is_not_spread_over_it(tmp_path):
    tensors = encoder("deeplabv3") | {
        "conv1.bias": np.zeros((1, 10**5), np.float32),
        "bn1.running_mean": np.zeros((10**5, 1), np.float32),
    }
    with pytest.raises(ValueError, match=r"bn1\.running_mean: \(100000, 1\) in the file"):
        load_pretrained(saved(tmp_path, tensors), variables(PSPNet(**RESNET)))
