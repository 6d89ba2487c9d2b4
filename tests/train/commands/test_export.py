"""Exported networks: equal to the trained one, readable without this project, or refused."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from PIL import Image

from balanced_jax.models import DeepLabV3, UNet
from tests.tiny import NETWORKS, TINY, config
from tests.train.commands import refusal
from tests.train.records import decision_figures, decision_rule
from train.__main__ import main
from train.commands import export as module
from train.commands.export import (
    _TOLERANCE,
    _in_float32,
    _interface,
    _onnx_size,
    probability_network,
    to_onnx,
    to_stablehlo,
)
from train.config import Input
from train.data.facts import DataFacts
from train.errors import UserError
from train.inference.ensemble import Ensemble
from train.records import to_json
from train.run.decision import remove_decision, write_decision
from train.run.directory import read_facts
from train.training.experiment import Experiment

EXAMPLE = Path(__file__).parents[3] / "examples/deploy/call_stablehlo.py"
CLASSES = ("background", "scratch", "spot", "pit")
refused = functools.partial(refusal.refused, "export")
FACTS = DataFacts(("background", "scratch", "pit"), 3, 16, 8, "abc")
MODELS = {
    "unet": UNet(width=4, depth=2),
    "unet_group": UNet(width=4, depth=2, norm="group", remat=True),
    "ensemble": Ensemble((UNet(3, width=4, depth=2), UNet(3, width=2, depth=1, norm="group")), 3),
    "deeplabv3plus": DeepLabV3(width=4, blocks=(1, 1, 1, 1), output_stride=16, decoder=True),
    **NETWORKS,
}
each_model = pytest.mark.parametrize(
    "name",
    [name if name == "unet" else pytest.param(name, marks=pytest.mark.slow) for name in MODELS],
)


@pytest.fixture(scope="module", autouse=True)
def unchecked():
    """Free sizes are beyond the shape checker, and the operations of jax2onnx broadcast silently."""
    jaxtyping.config.update("jaxtyping_disable", True)
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jaxtyping.config.update("jaxtyping_disable", False)


def experiment(model, input=config.input):
    return Experiment(replace(config, model=model, input=input), FACTS)


def network(model):
    made = experiment(model)
    return probability_network(made, jax.device_get(made.random_state()))


def images(batch, height, width, channels=3):
    return np.random.default_rng(batch).integers(0, 256, (batch, height, width, channels), np.uint8)


def quickly(function):
    """Compiled in a fraction of the time, to code that is a little slower."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1})


def session(file):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@each_model
def test_stablehlo_takes_any_number_of_images_of_any_size(name):
    original = network(MODELS[name])
    exported = jax.export.deserialize(bytearray(to_stablehlo(original, 3)))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    for shape in ((1, 48, 96), (3, 50, 37)):
        result, expected = (quickly(f)(images(*shape)) for f in (exported.call, original))
        # Rounding: seen 2e-6.
        np.testing.assert_allclose(result, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("size", [(50, 37), pytest.param((256, 230), marks=pytest.mark.slow)])
@each_model
def test_onnx_takes_any_number_of_images_of_its_size(name, size):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("jax2onnx")
    original = network(MODELS[name])
    file = to_onnx(original, (*size, 3), {})
    onnx.checker.check_model(file, full_check=True)
    shown = images(3, *size)
    expected = quickly(original)(shown)
    for batch in (1, 3):
        (result,) = session(file).run(None, {"images": shown[:batch]})
        assert (result.dtype, result.shape) == (np.float32, (batch, *size, 3))
        np.testing.assert_allclose(result, expected[:batch], rtol=0, atol=_TOLERANCE)


def test_a_network_of_bfloat16_is_exported_in_float32():
    model = UNet(width=4, depth=2)
    coarse, fine = (network(model.clone(dtype=dtype)) for dtype in ("bfloat16", "float32"))
    shown = jnp.asarray(images(1, 16, 16))
    np.testing.assert_array_equal(quickly(coarse)(shown), quickly(fine)(shown))
    members = _in_float32(Ensemble((model.clone(dtype="bfloat16"), model.clone(remat=True)), 3)).members
    assert [(member.dtype, member.remat) for member in members] == [("float32", False)] * 2


def test_the_network_normalizes_as_the_run_did():
    made = experiment(UNet(width=4, depth=2), Input(mean=0.3, deviation=0.1))
    state = made.random_state()
    logits = made.model.apply(
        {"params": state.params, **state.collections},
        (images(1, 16, 16) / np.float32(255) - 0.3) / 0.1,
        train=False,
    )
    # Rounding of values up to 7 by another order of operations.
    result = probability_network(made, state)(jnp.asarray(images(1, 16, 16)))
    np.testing.assert_allclose(result, jax.nn.softmax(jnp.asarray(logits)), rtol=0, atol=1e-5)
    assert _interface(made)["normalization"]["mean"] == 0.3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    arguments = ["--run-dir", str(place / "run"), "--data-dir", str(place), "--epochs", "1"]
    assert main(["fit", str(TINY), *arguments]) == 0
    return place / "run"


@pytest.fixture(scope="module")
def exported(run):
    pytest.importorskip("jax2onnx")
    pytest.importorskip("onnxruntime")
    out = run.parent / "exported"
    assert main(["export", str(run), "--out", str(out), "--size", "32", "40"]) == 0
    return out


def test_the_files_say_what_they_take_and_give(run, exported):
    assert {file.name for file in exported.iterdir()} == {
        "model.onnx",
        "model.stablehlo",
        "model.json",
        "predict.py",
    }
    about = json.loads((exported / "model.json").read_text())
    assert about["classes"] == ["background", "scratch", "spot", "pit"]
    assert about["input"]["levels"] is None
    assert about["input"]["shape"] == ["batch", "height", "width", 1]
    assert about["normalization"]["mean"] == 0.5
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert about["run"]["step"] == evaluation["step"]
    for name in ("thresholds", "minimum_areas"):
        assert about[name] == evaluation["decided"][name]
    metadata = session(exported / "model.onnx").get_modelmeta().custom_metadata_map
    assert {name: json.loads(value) for name, value in metadata.items()} == about


def test_the_example_of_the_site_runs_without_this_project(exported, tmp_path):
    (tmp_path / "exported").symlink_to(exported)
    # An editable installation could be imported from anywhere, so it is asked whether it was.
    code = EXAMPLE.read_text()
    code += "\nassert not {'balanced_jax', 'train', 'flax'} & sys.modules.keys(), sys.modules.keys()\n"
    command = [sys.executable, "-I", "-c", f"import sys\n{code}"]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    for name in CLASSES:
        assert name in printed


@pytest.mark.slow
def test_the_program_needs_three_packages_alone_and_decides_as_predict_does(exported, run, tmp_path):
    """In an environment that holds nothing else."""
    python = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "bare"], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", python, "onnxruntime", "pillow", "numpy"]
    if subprocess.run(install, capture_output=True).returncode:
        pytest.skip("onnxruntime, pillow and numpy cannot be installed")
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(images(4, 32, 40, 1)):
        Image.fromarray(image.squeeze(-1)).save(folder / f"{number}.png")
    arguments = ["predict", str(run), str(folder), "--out", str(tmp_path / "expected"), "--decide"]
    assert main(arguments) == 0
    command = [python, "-I", "-W", "error", exported / "predict.py", folder, "--out", tmp_path / "classes"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4
    for number in range(4):
        result, expected = (
            np.asarray(Image.open(tmp_path / f"{of}/{number}.png")) for of in ("classes", "expected")
        )
        # onnxruntime rounds differently, which shows where a probability is at its threshold.
        assert (result != expected).mean() < 0.005
        assert expected.any()


def test_onnx_can_be_left_out(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    arguments = ["export", str(run), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--size", "32", "32"]) == 2
    assert "needs jax2onnx; run pip install '.[export]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--no-onnx", "--size", "32", "32"]) == 2
    assert "size: is that of model.onnx, which --no-onnx leaves out" in capsys.readouterr().err
    assert main([*arguments, "--no-onnx"]) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"model.stablehlo", "model.json"}


def test_a_decision_of_a_person_is_exported_with_its_figures(run, tmp_path, capsys):
    facts = read_facts(run)
    step = json.loads((run / "evaluation.json").read_text())["step"]
    rule, figures = decision_rule(facts.classes), decision_figures(facts.classes)
    try:
        decision = write_decision(run, rule, figures, step=step, data=facts.fingerprint)
        assert main(["export", str(run), "--out", str(tmp_path / "out"), "--no-onnx"]) == 0
        write_decision(run, rule, figures, step=step + 1, data=facts.fingerprint)
        error = refused([run, "--out", tmp_path / "other", "--no-onnx"], capsys)
    finally:
        remove_decision(run)
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert about["thresholds"] == rule.thresholds
    assert about["minimum_areas"] == rule.minimum_areas
    assert about["decision"] == to_json(decision)
    assert f"evaluate {run} --automatic, or choose anew" in error
    assert not (tmp_path / "other").exists()


@pytest.fixture
def installed(monkeypatch):
    """As if the packages were there: what is refused before they are used."""
    monkeypatch.setattr(module, "_check_packages", lambda: None)


@pytest.mark.usefixtures("installed")
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(run, tmp_path, capsys):
    out = ["--out", tmp_path / "out"]
    assert "not a run directory" in refused([tmp_path, *out], capsys)
    assert "give --size HEIGHT WIDTH" in refused([run, *out], capsys)
    assert "size: is 0 32, takes at least 1" in refused([run, *out, "--size", 0, 32], capsys)
    (tmp_path / "file").touch()
    assert "is not an empty folder" in refused([run, "--out", tmp_path], capsys)
    assert "is not an empty folder" in refused([run, "--out", tmp_path / "file"], capsys)
    below = [run, "--out", tmp_path / "file" / "out", "--no-onnx"]
    assert "cannot be written" in refused(below, capsys)
    (tmp_path / "bare").mkdir()
    for name in ("config.json", "config.py"):
        (tmp_path / "bare" / name).write_bytes((run / name).read_bytes())
    assert "has no checkpoint yet" in refused([tmp_path / "bare", *out, "--no-onnx"], capsys)
    assert not (tmp_path / "out").exists()


def test_the_size_is_the_runs_own_where_it_has_one():
    assert _onnx_size(None, (64, 80)) == _onnx_size((64, 80), (64, 80)) == (64, 80)
    assert _onnx_size((5, 7), None) == (5, 7)
    with pytest.raises(UserError, match="size: is 32 32, but the run resizes images to 64 80"):
        _onnx_size((32, 32), (64, 80))


def test_an_onnx_file_that_is_not_the_network_is_refused(run, exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "_largest_difference", lambda *_: float("nan"))
    arguments = [run, "--out", tmp_path / "out", "--size", 32, 32]
    assert "differ from the network's by up to nan" in refused(arguments, capsys)
    assert not (tmp_path / "out").exists()


def test_what_onnx_has_no_counterpart_of_is_named():
    pytest.importorskip("jax2onnx")

    def host(images):
        return jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((1,), jnp.float32), images[0, 0, 0])

    with pytest.raises(UserError, match=r"the network cannot be converted.*pure_callback.*--no-onnx"):
        to_onnx(host, (8, 8, 1), {})
