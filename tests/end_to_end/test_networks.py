"""Each network from a config to a report, and from pretrained weights."""

import dataclasses
import json

import chex
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.end_to_end.runs import rows
from tests.references.networks import encoder
from tests.tiny import TINY, configs
from train.__main__ import main
from train.data.facts import DataFacts
from train.training.experiment import Experiment
from train.training.initial import check_initial, first_state

ARGUMENTS = ["--epochs", "1", "--objective.balanced.options.window", "3"]


@pytest.fixture
def resnet(tmp_path):
    """A file in torchvision's layout, of the tiny networks' encoder for color images."""
    path = tmp_path / "resnet.safetensors"
    tensors = {
        name: x for name, x in encoder("deeplabv3").items() if ".1." not in name.replace("downsample.1", "")
    }
    save_file(tensors, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", configs)
def test_a_network_is_trained_evaluated_and_reported(name, tmp_path, resnet):
    run = tmp_path / "run"
    arguments = ["fit", f"{TINY}:{name}", "--run-dir", str(run), "--data-dir", str(tmp_path), *ARGUMENTS]
    pretrained = ["--pretrained", str(resnet)] if name in ("deeplabv3", "pspnet") else []
    assert main([*arguments, *pretrained]) == 0
    (row,) = rows(run)
    assert ("auxiliary" in row["terms"]) == (name in ("deeplabv3", "pspnet"))
    assert row["loss"] == pytest.approx(sum(row["terms"].values()))
    assert json.loads((run / "evaluation.json").read_text())["images"] == 8
    assert (run / "report.html").exists()


@pytest.mark.slow
def test_training_starts_from_the_pretrained_weights_and_keeps_them(resnet, tmp_path):
    config = dataclasses.replace(configs["pspnet"], pretrained=str(resnet))
    experiment = Experiment(config, DataFacts(("background", "defect"), 1, 50, 20, "abc"))
    check_initial(experiment, tmp_path)
    state, random = first_state(experiment, tmp_path), experiment.random_state()
    pretrained = encoder("deeplabv3")
    stem = state.params["backbone"]["stem"]
    expected = pretrained["conv1.weight"].transpose(2, 3, 1, 0).sum(2, keepdims=True)
    np.testing.assert_allclose(stem["conv"]["kernel"], expected, atol=1e-6)
    np.testing.assert_array_equal(
        state.collections["batch_stats"]["backbone"]["stem"]["norm"]["mean"], pretrained["bn1.running_mean"]
    )
    np.testing.assert_array_equal(state.params["logits"]["kernel"], random.params["logits"]["kernel"])
    resnet.unlink()
    check_initial(experiment, tmp_path)
    chex.assert_trees_all_equal(first_state(experiment, tmp_path), state)


@pytest.mark.parametrize(
    ("pretrained", "message"),
    [
        ("nowhere.pth", "pretrained: [Errno 2] No such file or directory: 'nowhere.pth'"),
        (str(TINY), "tiny.py: is not a state dictionary of PyTorch"),
        (None, "does not fit the network: bn1.bias: (4,) in the file, (8,) in the network"),
    ],
)
def test_pretrained_weights_that_do_not_fit_are_an_exit_2(pretrained, message, resnet, tmp_path, capsys):
    arguments = ["fit", f"{TINY}:pspnet", "--run-dir", str(tmp_path / "run"), "--data-dir", str(tmp_path)]
    assert main([*arguments, "--model.width", "8", "--pretrained", pretrained or str(resnet)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
