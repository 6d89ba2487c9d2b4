"""Command lines that cannot work: one line that names the argument, what is wrong with it, and the remedy."""

import io
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny import TINY
from tests.tiny import config as tiny
from tests.train.commands.refusal import refused
from tests.untrained import gray_facts, make_run
from train.__main__ import main
from train.errors import UserError
from train.training.experiment import Experiment
from train.training.initial import check_initial

LONG = "a" * 300


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        ("fit", ("--memory", "inf"), "--memory: is inf, takes at least 0 GiB"),
        ("fit", ("--memory", "nan"), "--memory: is nan, takes at least 0 GiB"),
        ("compare", ("--memory", "-1"), "--memory: is -1.0, takes at least 0 GiB"),
        ("fit", ("--seed", "-1"), "seed: is -1, takes at least 0"),
        ("fit", ("--run-dir", "gs://bucket/run"), "gs://bucket/run: cannot be reached (Please install gcsfs"),
        ("fit", ("--run-dir=x://y",), "x://y: is of no known kind of bucket"),
        ("fit", ("--init-from", "gs://bucket/run"), "gs://bucket/run: cannot be reached"),
        ("fit", ("--data-dir", "gs://bucket"), "gs://bucket: cannot be reached"),
        ("fit", ("--data-dir", "gs:/bucket"), "--data-dir: is gs:/bucket, takes a folder on a disk"),
        ("fit", ("--num-processes", "0"), "--num-processes: is 0, takes at least 1"),
        ("fit", ("--num-processes", "2", "--process-id", "2"), "--process-id: is 2, takes 0 to 1"),
        ("fit", ("--coordinator", "host"), "--coordinator: is host, takes HOST:PORT"),
        ("fit", ("--compilation-cache", "/dev/null"), "/dev/null: cannot be written (File exists)"),
        ("compare", ("--objectives",), "--objectives: has no value, takes one or several"),
        ("compare", ("--seeds", "--quiet"), "--seeds: has no value, takes one or several"),
        ("compare", ("--vary", "model.width", "wide"), "model.width: is a number, but 'wide' is a text"),
        ("compare", ("--vary", "model.width", "(1"), "model.width: is a number, but '(1' is a text"),
        ("stats", ("--objective.balanced.options.beta", "nan"), "objective.balanced: beta must be in [0, 1)"),
        ("curves", ("--objective.dice.scale", "nan"), "error: "),
        ("curves", ("--objective.balanced.options.eps-inf.end", "inf"), "error: "),
        (
            "fit",
            ("--model.widht", "3"),
            "error: Unrecognized options: --model.widht, 3; did you mean --model.width?",
        ),
        (
            "fit",
            ("--model.width", "-1"),
            "error: model: width: got -1, takes a whole number from 1 on; python",
        ),
        ("fit", ("--model.width", "x"), "'x'; write --model.width INT"),
        ("fit", ("--input.crop", "8"), "--input.crop: cannot be '8'; write --input.crop {None}|{INT INT}"),
        ("fit", ("--epochs",), "error: Missing value for argument '--epochs'. Expected 1 values; python"),
        (
            "fit",
            ("--model.norm", "x"),
            "'--model.norm'. Expected one of ('batch', 'group'); python -m train fit",
        ),
        ("fit", ("--tyro-print-completion", "x"), "error: --tyro-print-completion: no such flag; python -m"),
        ("curves", ("--out", "/dev/null"), "/dev/null: is there already, and no page of this command"),
        ("prepare", ("--data-dir", LONG), "cannot be used (File name too long); check the path"),
    ],
)
def test_flags(command, flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(command, [TINY, *flags], capsys)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_missing_arguments_are_named_on_every_terminal(encoding, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    message = refused("predict", ["run", "images"], capsys)
    predict = "python -m train predict"
    assert message == f"error: Missing from {predict}: --out PATH; {predict} --help lists the flags\n"
    assert "Missing from python -m train export: RUN_DIR --out PATH; " in refused("export", [], capsys)


@pytest.mark.parametrize("command", ["fit", "evaluate", "predict", "export"])
@pytest.mark.parametrize("path", [LONG, f"{LONG}/b", "loop", "loop/b", "/dev/null/b", "gs://bucket/run"])
def test_paths_in_the_place_of_a_config_or_run(command, path, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    flags = {"predict": [TINY, "--out", "out"], "export": ["--out", "out"]}.get(command, [])
    assert path in refused(command, [path, *flags], capsys)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("fifo", "is no file"),
        ("/dev/zero", "is no file"),
        ("folder", "is no file"),
        ("loop", "(Too many levels of symbolic links|No such file)"),
        (LONG, "File name too long"),
        ("missing", "No such file"),
        ("gs://bucket/weights.pth", "No such file"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".pth", ".safetensors"])
def test_pretrained_weights_that_are_no_file(path, message, suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(f"fifo{suffix}")
    Path(f"folder{suffix}").mkdir()
    Path(f"loop{suffix}").symlink_to(f"loop{suffix}")
    path = path if path.startswith("/") else f"{path}{suffix}"
    config = tiny.__class__(**{**vars(tiny), "pretrained": path})
    with pytest.raises(UserError, match=rf"^pretrained: .*{message}") as error:
        check_initial(Experiment(config, gray_facts(("background", "pit"))), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_images_whose_names_are_equal_in_nfc_are_twins(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", Experiment(tiny, gray_facts(("background", "pit"))))
    Path("images").mkdir()
    names = [unicodedata.normalize(form, "rück.png") for form in ("NFC", "NFD")]
    for name in names:
        Image.new("L", (32, 32)).save(f"images/{name}")
    message = refused("predict", ["run", "images", "--out", "out"], capsys)
    assert "would both be written to" in message
    assert all(name in message for name in names)


@pytest.mark.parametrize(
    ("flags", "longest"), [([], "_overlay.png"), (["--probabilities"], "_probabilities.npz")]
)
def test_names_too_long_for_results_are_known_before_the_work(flags, longest, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", Experiment(tiny, gray_facts(("background", "pit"))))
    Path("images/deep").mkdir(parents=True)
    name = "ü" * ((255 - len(longest)) // 2) + "a" * ((255 - len(longest)) % 2)
    arguments = ["run", "images", "--out", "out", *flags]
    Image.new("L", (32, 32)).save(f"images/deep/{name}b.png")
    message = refused("predict", arguments, capsys)
    assert "b.png: its results would have file names of up to 256 bytes, and file systems take 255" in message
    assert "give the image a shorter name" in message
    assert not Path("out").exists()
    Path(f"images/deep/{name}b.png").rename(f"images/deep/{name}.png")
    assert main(["predict", *arguments, "--labelme"]) == 0
    assert Path(f"out/deep/{name}{longest}").exists()


def test_a_page_of_curves_replaces_such_a_page_and_no_other_file(tmp_path, capsys):
    page = tmp_path / "new" / "curves.html"
    for _ in range(2):
        assert main(["curves", str(TINY), "--out", str(page)]) == 0
    content = page.read_text()
    shutil.copy(TINY, page)
    assert "is there already, and no page of this command" in refused("curves", [TINY, "--out", page], capsys)
    assert page.read_text() == TINY.read_text() != content
