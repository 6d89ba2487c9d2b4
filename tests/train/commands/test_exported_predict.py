"""The program in an exported folder, with the network of the run in place of onnxruntime."""

import dataclasses
import functools
import importlib.util
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from tests.train.data.image_files import encoded, pages, png_header, tiff
from tests.train.records import evaluation
from tests.untrained import gray_facts, make_run
from train.__main__ import main
from train.commands import export
from train.commands.export import probability_network
from train.config import Input
from train.data.example import Decoding
from train.data.formats.images import read_pixels
from train.errors import UserError
from train.inference.steps import resize_step
from train.measures.components import find_components
from train.measures.decision import class_map
from train.measures.records import DecisionRule
from train.run.files import write_json
from train.training.experiment import Experiment

CLASSES = ("background", "scratch", "spot", "pit")
SIZE = (48, 40)


def made(size=None) -> Experiment:
    model = UNet(width=4, depth=1)
    return Experiment(dataclasses.replace(tiny, model=model, input=Input(size=size)), gray_facts(CLASSES))


class Exported(NamedTuple):
    """A run that has learnt nothing, and what was exported of it."""

    run: Path
    folder: Path
    resized: bool
    network: Callable


def blots(seed: int, size) -> np.ndarray:
    """An image that becomes components of more than a pixel."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, size), 2)
    return np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=[None, SIZE], ids=["own size", "resized"])
def exported(request, tmp_path_factory) -> Exported:
    place = tmp_path_factory.mktemp("run")
    experiment = made(request.param)
    make_run(place / "run", experiment)
    network = jax.jit(probability_network(experiment, experiment.random_state()))
    probabilities = np.asarray(network(jnp.asarray(blots(0, SIZE))[None, ..., None]))
    thresholds = np.quantile(probabilities[..., 1:], 0.8, (0, 1, 2)).tolist()
    decided = dataclasses.replace(
        evaluation(CLASSES).decided,
        thresholds=dict(zip(CLASSES[1:], thresholds, strict=True)),
        minimum_areas={"scratch": 12, "spot": 1, "pit": 4},
    )
    write_json(
        place / "run/evaluation.json", dataclasses.replace(evaluation(CLASSES), step=1, decided=decided)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_check_packages", lambda: None)
        patch.setattr(export, "_largest_difference", lambda *_: 0.0)
        for name in ("to_onnx", "to_stablehlo"):
            patch.setattr(export, name, lambda *_: b"")
        arguments = ["export", str(place / "run"), "--out", str(place / "exported")]
        assert main([*arguments, "--size", *map(str, SIZE)]) == 0
    return Exported(place / "run", place / "exported", request.param is not None, network)


@pytest.fixture
def program(monkeypatch):
    """The program as a module, without onnxruntime."""
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    specification = importlib.util.spec_from_file_location("exported_predict", export._PROGRAM)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def run(exported, program, monkeypatch):
    """The program in the exported folder, as a function of its arguments; the network of the run computes."""
    assert (exported.folder / "predict.py").read_bytes() == export._PROGRAM.read_bytes()

    def session(path, providers):
        assert path == str(exported.folder / "model.onnx")
        return types.SimpleNamespace(
            get_inputs=lambda: [types.SimpleNamespace(shape=["batch", *SIZE, 1])],
            run=lambda _, inputs: [np.asarray(exported.network(jnp.asarray(inputs["images"])))],
        )

    monkeypatch.setattr(program, "__file__", str(exported.folder / "predict.py"))
    monkeypatch.setattr(program.onnxruntime, "InferenceSession", session, raising=False)
    # The stream of pytest cannot be reconfigured.
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)

    def main(*arguments) -> None:
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
        program.main()

    return main


def array(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_label_images_and_areas_are_those_of_predict(exported, run, tmp_path, capsys):
    sizes = [SIZE, (30, 61), (100, 33)] if exported.resized else [SIZE, SIZE]
    (tmp_path / "images").mkdir()
    for number, size in enumerate(sizes):
        Image.fromarray(blots(number, size)).save(tmp_path / f"images/{number}.png")
    arguments = ["predict", str(exported.run), str(tmp_path / "images"), "--out", str(tmp_path / "expected")]
    assert main([*arguments, "--decide"]) == 0
    capsys.readouterr()
    run(tmp_path / "images", "--out", tmp_path / "classes")
    printed = capsys.readouterr().out.splitlines()
    for number, line in enumerate(printed):
        classes = array(tmp_path / f"classes/{number}.png")
        # Rounding differs where a probability is at its threshold: not on these images.
        np.testing.assert_array_equal(classes, array(tmp_path / f"expected/{number}.png"))
        assert len(np.unique(classes)) > 2
        found = [
            f"{CLASSES[k]} {sorted(areas.tolist(), reverse=True)}"
            for k in range(1, 4)
            if len(areas := find_components(classes, [k]).areas)
        ]
        assert line == f"{tmp_path / f'images/{number}.png'}: {', '.join(found)}"
    assert len(printed) == len(sizes)


def test_without_thresholds_the_most_probable_class_is_taken(program):
    about = {"classes": CLASSES, "thresholds": None, "minimum_areas": None}
    probabilities = np.random.default_rng(0).random((20, 30, 4), np.float32)
    classes, _ = program.decide(probabilities, about)
    np.testing.assert_array_equal(classes, probabilities.argmax(-1))


def test_the_decision_is_that_of_the_project(program):
    rng = np.random.default_rng(0)
    for _ in range(20):
        probabilities = rng.dirichlet([1] * 4, (40, 30)).astype(np.float32)
        probabilities = ndimage.gaussian_filter(probabilities, (0.8, 0.8, 0))
        rule = DecisionRule(
            dict(zip(CLASSES[1:], rng.uniform(0.2, 0.5, 3).tolist(), strict=True)),
            dict(zip(CLASSES[1:], (2 ** rng.integers(0, 6, 3)).tolist(), strict=True)),
        )
        about = {"classes": CLASSES, **vars(rule)}
        classes, areas = program.decide(probabilities, about)
        np.testing.assert_array_equal(classes, class_map(probabilities[..., 1:], rule))
        assert classes.dtype == np.uint8
        for k, name in enumerate(CLASSES[1:], 1):
            assert sorted(areas[name]) == sorted(find_components(classes, [k]).areas.tolist())


def test_probabilities_are_resized_as_the_logits_are(program):
    logits = np.random.default_rng(0).normal(0, 5, (1, 24, 20, 4)).astype(np.float32)
    probabilities = np.asarray(jax.nn.softmax(logits))[0]
    for size in ((24, 20), (50, 61), (15, 13)):
        batch = {
            "logits": logits,
            "size": np.array([size], np.float32),
            "corner": np.zeros((1, 2), np.float32),
        }
        result = program.resize(probabilities, size)
        expected = jax.jit(functools.partial(resize_step, canvas=size))(batch)
        np.testing.assert_allclose(result, expected[0], atol=2e-5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_read_as_for_training(mode, channels, program, tmp_path):
    colors = np.stack([blots(seed, (20, 30)) for seed in range(3)], -1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colors).convert(mode).save(tmp_path / "a.png", exif=exif)
    expected, _ = read_pixels(tmp_path / "a.png")
    if expected.shape[-1] != channels:
        whole = Image.fromarray(expected.squeeze())
        expected = np.asarray(whole.convert("L" if channels == 1 else "RGB"))
    result = program.read(tmp_path / "a.png", channels, None)
    assert result.shape == (30, 20, channels)
    np.testing.assert_array_equal(result, expected.reshape(result.shape))


def test_deep_gray_is_scaled_by_the_levels_of_the_run(program, tmp_path):
    values = np.random.default_rng(0).integers(0, 2**12, (20, 30)).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        expected, _ = read_pixels(tmp_path / name, Decoding(levels=(100, 3000)))
        result = program.read(tmp_path / name, 1, [100, 3000])
        np.testing.assert_array_equal(result, expected)


def refused_files() -> dict[str, bytes]:
    """Files that training refuses, by name."""
    gray = Image.fromarray(blots(0, (20, 30)))
    rgba, palette = gray.convert("RGBA"), gray.convert("P")
    rgba.putalpha(gray)
    values = np.random.default_rng(0).integers(0, 2**12, (20, 30, 5)).astype(np.uint16)
    two_colors = bytearray(encoded(Image.fromarray(np.eye(32, dtype=np.uint8)), "BMP"))
    two_colors[46:50] = struct.pack("<I", 2)  # of a palette of 256
    two_colors[54:62] = bytes(4) + b"\xff\xff\xff\0"
    return {
        "rgba.png": encoded(rgba, "PNG"),
        "rgba.tif": encoded(rgba, "TIFF"),
        "la.png": encoded(rgba.convert("LA"), "PNG"),
        "palette.png": encoded(palette, "PNG", transparency=128),
        "transparent.png": encoded(gray.convert("RGB"), "PNG", transparency=(128, 128, 128)),
        "deep_transparent.png": encoded(Image.fromarray(values[..., 0]), "PNG", transparency=0),
        "cmyk.jpg": encoded(gray.convert("CMYK"), "JPEG"),
        "cmyk.tif": encoded(gray.convert("CMYK"), "TIFF"),
        "lab.tif": encoded(Image.new("LAB", (30, 20)), "TIFF"),
        "float.tif": encoded(gray.convert("F"), "TIFF"),
        "pages.tif": pages(values[..., :2].astype(np.uint8)),
        "channels.tif": tiff(values.astype(np.uint8)),
        "four.tif": tiff(values[..., :4].astype(np.uint8), t262=2, t338=0),
        "signed.tif": tiff(values[..., :1].astype(np.int8), t339=2),
        "white_is_zero.tif": tiff(values[..., :1], t262=0),
        "large_values.tif": encoded(Image.fromarray(100_000 * np.eye(20, dtype=np.int32)), "TIFF"),
        "negative.tif": encoded(Image.fromarray(-np.eye(20, dtype=np.int32)), "TIFF"),
        "two_colors.bmp": bytes(two_colors),
        "gif.png": encoded(gray, "GIF"),
    }


@pytest.mark.parametrize("levels", [None, (0, 4095)])
@pytest.mark.parametrize("name", refused_files())
def test_what_training_refuses_is_refused(name, levels, program, tmp_path):
    path = tmp_path / name
    path.write_bytes(refused_files()[name])
    with pytest.raises(UserError):
        read_pixels(path, Decoding(levels=levels))
    with pytest.raises(SystemExit, match=name) as refused:
        program.read(path, 3, levels)
    assert "\n" not in str(refused.value)


def test_hidden_files_of_a_folder_are_skipped(run, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    Image.fromarray(blots(0, SIZE)).save(tmp_path / "images/a.png")
    (tmp_path / "images/._a.png").write_bytes(b"of macOS")
    run(tmp_path / "images", "--out", tmp_path / "classes")
    assert capsys.readouterr().out.count("\n") == 1
    assert [path.name for path in (tmp_path / "classes").iterdir()] == ["a.png"]


@pytest.mark.parametrize("exported", [None], indirect=True, ids=["own size"])
def test_what_the_user_can_mend_is_one_line(run, tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(blots(0, (49, 40))).save(tmp_path / "large.png")
    Image.fromarray(blots(0, (8, 8))).save(tmp_path / "a.png")
    Image.fromarray(blots(0, (8, 8))).save(tmp_path / "images/A.bmp")
    Image.fromarray(blots(0, (8, 8)).astype(np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "color.png").write_bytes(imagecodecs.png_encode(np.zeros((8, 8, 3), np.uint16)))
    (tmp_path / "damaged.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    (tmp_path / "huge.png").write_bytes(png_header(10_000, 10_000))
    (tmp_path / "empty").mkdir()
    for images, problem in {
        ("large.png",): "large.png: is larger than 48x40; cut it, or export again with a larger --size",
        ("deep.png",): "deep.png: is neither gray nor RGB of 8 bits, nor deeper gray as in training",
        ("color.png",): "color.png: is neither gray nor RGB of 8 bits",
        ("damaged.png",): "damaged.png: cannot be read",
        ("huge.png",): r"huge.png: cannot be read \(Image size \(100000000 pixels\) exceeds limit",
        ("missing.png",): "missing.png: cannot be read",
        ("empty",): "no image in these folders",
        ("a.png", "images"): "two images have one name",
    }.items():
        with pytest.raises(SystemExit, match=problem) as refused:
            run(*(tmp_path / name for name in images), "--out", tmp_path / "out")
        assert "\n" not in str(refused.value)
    with pytest.raises(SystemExit, match="holds the images; give another --out"):
        run(tmp_path / "a.png", "--out", tmp_path)
