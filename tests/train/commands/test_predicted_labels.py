"""Label files that `predict` writes for label tools."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from tests.train.commands import refusal
from tests.untrained import gray_facts, make_run
from train.__main__ import main
from train.data.formats.polygons import Coco, read_labelme
from train.data.prepare import prepare
from train.data.sets import Folder
from train.display import predictions
from train.display.annotations import write_labelme
from train.training.experiment import Experiment

CLASSES = ("background", "scratch", "spot", "pit")
NAMES = ("one", "deep/two")
refused = functools.partial(refusal.refused, "predict")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learnt nothing: classes all over the image."""
    place = tmp_path_factory.mktemp("runs") / "run"
    make_run(place, Experiment(dataclasses.replace(tiny, model=UNet(width=4, depth=1)), gray_facts(CLASSES)))
    return place


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(NAMES):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (30 + seed, 40), np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "images"


def test_both_files_give_the_class_maps_again(run, folder, tmp_path):
    out = tmp_path / "out"
    assert main(["predict", str(run), str(folder), "--out", str(out), "--coco", "--labelme"]) == 0
    coco = Coco(out / "coco.json")
    for name in NAMES:
        with Image.open(out / f"{name}.png") as image:
            classes = np.asarray(image)
        assert len(np.unique(classes)) > 1
        np.testing.assert_array_equal(coco.label(f"{name}.png", CLASSES), classes)
        file = out / f"{name}.json"
        np.testing.assert_array_equal(read_labelme(file, CLASSES), classes)
        image = file.parent / json.loads(file.read_text())["imagePath"]
        assert image.resolve() == folder / f"{name}.png"


@pytest.mark.parametrize("labels", [{"masks": "out", "mask_suffix": ".json"}, {"masks": "out/coco.json"}])
def test_a_data_set_takes_its_labels_from_all_that_is_predicted(labels, run, folder, tmp_path):
    for name in "abcdef":
        (folder / f"{name}.png").write_bytes((folder / "one.png").read_bytes())
    out = tmp_path / "out"
    files = ("--coco", "--labelme", "--components", "--probabilities")
    assert main(["predict", str(run), str(folder), "--out", str(out), *files]) == 0
    labels = {**labels, "masks": str(tmp_path / labels["masks"])}
    data = prepare(Folder(str(folder), classes=CLASSES, **labels), data_dir=tmp_path / "prepared")
    examples = [example for part in data.parts.values() for example in part]
    assert len(examples) == 8
    for example in examples:
        with Image.open(out / f"{example['name']}.png") as image:
            np.testing.assert_array_equal(example["label"], np.asarray(image))


def test_an_image_may_have_the_name_of_the_coco_file(run, folder, tmp_path):
    for name in ("coco", *"abcde"):
        (folder / f"{name}.png").write_bytes((folder / "one.png").read_bytes())
    out = tmp_path / "out"
    assert main(["predict", str(run), str(folder), "--out", str(out), "--labelme"]) == 0
    labels = Folder(str(folder), str(out), mask_suffix=".json", classes=CLASSES)
    data = prepare(labels, data_dir=tmp_path / "prepared")
    assert sum(map(len, data.parts.values())) == 8


def test_a_coco_file_is_never_replaced(run, folder, tmp_path, capsys):
    file = tmp_path / "out/coco.json"
    file.parent.mkdir()
    file.write_text("drawn by a person")
    arguments = [run, folder, "--out", file.parent, "--coco"]
    assert f"{file}: exists, and its labels would be lost; give another --out" in refused(arguments, capsys)
    assert file.read_text() == "drawn by a person"
    assert not list(file.parent.rglob("*.png"))


def test_after_an_interruption_the_same_command_keeps_corrected_labels(
    run, folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    arguments = ["predict", str(run), str(folder), "--out", str(out), "--coco", "--labelme"]

    def interrupted(file: Path, *rest) -> None:
        if file.stem == "one":
            raise KeyboardInterrupt
        write_labelme(file, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "write_labelme", interrupted)
        with pytest.raises(KeyboardInterrupt):
            main(arguments)
    corrected = out / "deep/two.json"
    corrected.write_text("corrected by a person")
    capsys.readouterr()
    assert main(arguments) == 0
    note = " ".join(capsys.readouterr().out.split())
    assert "1 of 2 LabelMe files exist and are kept, because a person may have corrected them" in note
    assert corrected.read_text() == "corrected by a person"
    coco = Coco(out / "coco.json")
    with Image.open(out / "one.png") as image:
        np.testing.assert_array_equal(read_labelme(out / "one.json", CLASSES), np.asarray(image))
    with Image.open(out / "deep/two.png") as image:
        np.testing.assert_array_equal(coco.label("deep/two.png", CLASSES), np.asarray(image))
    assert not list(out.rglob(".*"))


def test_two_files_of_one_name_are_refused(run, folder, tmp_path, capsys):
    (folder / "one.png").rename(folder / "coco.png")
    arguments = [run, folder, "--out", tmp_path / "out", "--coco", "--labelme"]
    assert "coco.json: --coco and --labelme would both write it" in refused(arguments, capsys)
    assert not (tmp_path / "out").exists()
