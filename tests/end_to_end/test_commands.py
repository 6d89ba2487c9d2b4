"""The commands as a person runs them: from a config to a report, through kills and mistakes."""

import json
import re
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train.commands.evaluate
import train.commands.fit
from tests.end_to_end.runs import command, rows
from tests.tiny import TINY
from train.__main__ import main
from train.configfile import to_json
from train.data.prepare import Part
from train.data.sets import Folder
from train.display.pictures import overlay

ROOT = Path(__file__).parents[2]


def test_prepare_counts_the_parts_and_finds_no_leak(prepared, capsys):
    for _ in range(2):  # again the same
        assert main(["prepare", str(TINY), "--data-dir", str(prepared)]) == 0
        out = capsys.readouterr().out
        assert "train: " in out
        assert "no image stands in two parts" in out


def test_prepare_says_which_images_leak(tmp_path, capsys):
    for part in ("train", "val", "test"):
        for k in range(2):
            pixels = np.random.default_rng(k if part == "train" else ord(part[0]) + k).integers(
                0, 255, (40, 50)
            )
            if (part, k) == ("test", 1):
                pixels = np.random.default_rng(1).integers(0, 255, (40, 50))[::-1]
            label = np.zeros((40, 50), np.uint8)
            label[:5, :5] = 1
            for kind, values in (("images", pixels.astype(np.uint8)), ("masks", label)):
                path = tmp_path / kind / part / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(path)
    images, masks, place = (str(tmp_path / name) for name in ("images", "masks", "prepared"))
    data = ["--data.images", images, "--data.masks", masks]
    assert main(["prepare", str(ROOT / "configs/folder.py"), *data, "--data-dir", place]) == 0
    out = capsys.readouterr().out
    assert "1 of 2 images of the test part show what images of the train part show: test/1 is train/1" in out
    [table] = tmp_path.glob("prepared/**/leaks.csv")
    assert str(table) in out
    assert table.read_text().splitlines() == [
        "part,name,other_part,other_name", "train,train/1,test,test/1",
    ]  # fmt: skip
    table.unlink()
    table.mkdir()  # as good as a folder that cannot be written
    assert main(["prepare", str(ROOT / "configs/folder.py"), *data, "--data-dir", place]) == 2
    printed = capsys.readouterr()
    assert "test/1 is train/1" in printed.out
    assert f"{table}: cannot be written (Is a directory); make room" in printed.err


def test_stats_prints_tables_and_leaves_two_files(prepared, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["stats", str(TINY), "--data-dir", str(prepared), "--out", str(out)]) == 0
    assert "recommended" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"statistics.json", "statistics.png"}


def test_stats_shows_injected_defects(prepared, tmp_path, capsys):
    options = ["--data-dir", str(prepared), "--out", str(tmp_path), "--sampling.inject", "0.5"]
    assert main(["stats", str(TINY), *options]) == 0
    assert str(tmp_path / "injected.png") in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"statistics.json", "statistics.png", "injected.png"}


def test_a_run_leaves_all_it_should(run):
    names = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert names == {
        "config.py", "config.json", "metrics.jsonl", "muting.json", "checkpoints", "evaluation.json",
        "image_counts.csv", "label_maps", "report.html", "log.txt",
    }  # fmt: skip
    assert [row["epoch"] for row in rows(run)] == [1, 2, 3]
    for row in rows(run):
        result = row["loss_shares"]
        assert result["thresholds"]["term"] == "balanced"
        assert result["thresholds"]["eps_sup"] == pytest.approx(1 - row["epoch"] / 10)
        assert list(result["classes"]) == ["background", "scratch", "spot", "pit"]
        for division in ("error", "classes", "boundary"):
            for kind in ("pixels", "loss", "gradient"):
                assert sum(group[kind] for group in result[division].values()) == pytest.approx(1)
        assert list(result["mask"]) == ["balanced"]
    report = (run / "report.html").read_text()
    assert "Cost of each pixel" in report
    assert re.search(r"num_classes</span>\s*<span>4<", report)
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert list(evaluation["classes"]) == ["background", "scratch", "spot", "pit"]
    assert evaluation["images"] == evaluation["image_level"]["images"] == 8
    for result in (evaluation, evaluation["decided"]):
        assert np.sum(result["confusion"]) == 8 * 32 * 32
        assert result["intervals"]["groups"] == 8
        low, high = result["intervals"]["headline"]
        assert low <= result["headline"] <= high
    assert list(evaluation["decided"]["minimum_areas"]) == ["scratch", "spot", "pit"]
    for k, row in enumerate(evaluation["calibration"].values(), 1):
        assert sum(row["pixels"]) == 8 * 32 * 32
        labeled = [n * f for n, f in zip(row["pixels"], row["fraction"], strict=True) if n]
        assert sum(labeled) == pytest.approx(sum(evaluation["confusion"][k]))
    assert "epoch 3/3" in (run / "log.txt").read_text()


def test_evaluate_gives_the_same_figures_again(run, prepared):
    before = (run / "evaluation.json").read_text()
    (run / "evaluation.json").unlink()
    assert main(["evaluate", str(run), "--data-dir", str(prepared)]) == 0
    assert (run / "evaluation.json").read_text() == before


def test_evaluation_keeps_no_map_beyond_its_image(run, prepared, monkeypatch):
    make_classifier, alive = train.commands.evaluate.classifier, []

    def watched(*arguments):
        classify = make_classifier(*arguments)

        def watch(state, examples):
            maps = []
            for image in classify(state, examples):
                maps += [weakref.ref(x) for x in image[:4]]
                yield image
                if isinstance(examples, Part):  # not the few that are shown
                    alive.append(sum(ref() is not None for ref in maps))

        return watch

    monkeypatch.setattr(train.commands.evaluate, "classifier", watched)
    assert main(["evaluate", str(run), "--data-dir", str(prepared)]) == 0
    assert len(alive) == 4 + 4 + 8
    assert max(alive) <= 4


@pytest.mark.slow
def test_a_finished_run_is_only_evaluated_again(run, prepared):
    before = (run / "metrics.jsonl").read_text(), (run / "evaluation.json").read_text()
    assert main(command(run, prepared)) == 0
    assert ((run / "metrics.jsonl").read_text(), (run / "evaluation.json").read_text()) == before


@pytest.mark.slow
def test_a_balanced_run_has_the_steps_of_its_sampling_and_can_be_evaluated(prepared, tmp_path):
    # Of these 16 images 5 show a defect, so an epoch has 10, which make one step of 8.
    options = ["--data.seed", "5", "--sampling.balanced", "--sampling.centered", "0.5", "--epochs", "2"]
    assert main(command(tmp_path / "run", prepared, *options)) == 0
    assert [row["step"] for row in rows(tmp_path / "run")] == [1, 2]
    before = (tmp_path / "run" / "evaluation.json").read_text()
    assert main(["evaluate", str(tmp_path / "run"), "--data-dir", str(prepared)]) == 0
    assert (tmp_path / "run" / "evaluation.json").read_text() == before


def test_predict_writes_class_maps_and_overlays(run, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    sizes = {"one.png": (40, 30), "deep/two.jpg": (25, 33)}
    for name, (height, width) in sizes.items():
        Image.fromarray(rng.integers(0, 255, (height, width), np.uint8)).save(folder / name)
    out = tmp_path / "out"
    assert main(["predict", str(run), str(folder), "--out", str(out)]) == 0
    for name, (height, width) in sizes.items():
        stem = Path(name).with_suffix("")
        with Image.open(out / f"{stem}.png") as image:
            classes = np.asarray(image)
        assert classes.shape == (height, width)
        assert classes.dtype == np.uint8
        assert classes.max() < 4
        with Image.open(out / f"{stem}_overlay.png") as image:
            assert (image.mode, image.size) == ("RGB", (width, height))


def test_predict_reads_images_as_the_folder_was_told_to(run, tmp_path, capsys):
    """A run on a folder with levels, made of one that was not: predict needs no more of its data."""
    told = shutil.copytree(run, tmp_path / "run")
    content = json.loads((told / "config.json").read_text())
    content["config"]["data"] = to_json(Folder(levels=(1000, 3550)))
    (told / "config.json").write_text(json.dumps(content))
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "8.png")
    Image.fromarray(1000 + 10 * pixels.astype(np.uint16)).save(tmp_path / "16.png")
    paths = [str(tmp_path / "8.png"), str(tmp_path / "16.png")]
    out = tmp_path / "out"
    assert main(["predict", str(told), *paths, "--out", str(out)]) == 0
    for end in ("", "_overlay"):
        assert (out / f"8{end}.png").read_bytes() == (out / f"16{end}.png").read_bytes()
    assert main(["predict", str(run), *paths, "--out", str(out)]) == 2
    assert "16.png: has more than 8 bits" in capsys.readouterr().err


@pytest.mark.slow
def test_two_channels_of_16_bits_go_from_a_folder_to_predictions(tmp_path, capsys):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    label = np.zeros((32, 32), np.uint8)
    values = np.zeros((32, 32), np.uint16)
    for k in range(16):
        label[:8, :8] = k % 2
        Image.fromarray(label).save(tmp_path / "masks" / f"{k}.png")
        values = 2000 * label.astype(np.uint16) + 95 * k
        pages = [Image.fromarray(values), Image.fromarray(values // 2)]
        pages[0].save(tmp_path / "images" / f"{k}.tif", save_all=True, append_images=pages[1:])
    run, folder = str(tmp_path / "run"), str(tmp_path / "images")
    data = {"images": folder, "masks": str(tmp_path / "masks"), "channels": "2"}
    small = {"model.width": "2", "model.depth": "1", "epochs": "1", "batch-size": "8", "run-dir": run}
    options = small | {"data-dir": str(tmp_path / "prepared")} | {f"data.{k}": v for k, v in data.items()}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    arguments += ["--data.levels", "0", "4095", "--input.crop", "16", "16"]
    assert main(["fit", str(ROOT / "configs/folder.py"), *arguments]) == 0
    assert main(["predict", run, folder, "--out", str(tmp_path / "out")]) == 0
    drawn, classes = (np.asarray(Image.open(tmp_path / "out" / f"15{end}.png")) for end in ("_overlay", ""))
    first_page = np.round(values * (255 / 4095)).astype(np.uint8)
    np.testing.assert_array_equal(drawn, overlay(first_page[..., None], classes))
    Image.fromarray(label).save(tmp_path / "images" / "gray.png")
    capsys.readouterr()
    assert main(["predict", run, folder, "--out", str(tmp_path / "out")]) == 2
    assert "gray.png: has 1 channels, not the 2 of --data.channels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "needs a config file"),
        (["fit", "nowhere.py"], "nowhere.py: no such config file"),
        (["dance"], "dance: no such command"),
        (["evaluate", "nowhere"], "nowhere: not a run directory"),
        (["fit", str(TINY), "--batch-size", "7"], "batch_size: 7 images cannot be shared"),
        (["fit", str(TINY), "--batch-size", "0"], "batch_size: is 0, takes at least 1"),
        (["fit", str(TINY), "--accumulation", "0"], "accumulation: is 0, takes at least 1"),
        (
            ["fit", str(TINY), "--accumulation", "2"],
            "accumulation: the 1 images of a device cannot be cut into 2",
        ),
        (["fit", str(TINY), "--epochs", "0"], "epochs: is 0, takes at least 1"),
        (["fit", str(TINY), "--input.crop", "24", "0"], "input.crop: is 24 0, takes at least 1"),
        (["fit", str(TINY), "--objective.balanced.options.eps-inf.until", "2"], "begin < until <= 1"),
        (["fit", str(TINY), "--batch-size", "32"], "batch_size: 32 is more than the 16 training images"),
        (
            ["fit", str(TINY), "--sampling.balanced", "--data.seed", "5", "--batch-size", "16"],
            "batch_size: 16 is more than the 10 training images of a pass",
        ),
        (
            ["fit", str(TINY), "--sampling.centered", "2"],
            "sampling.centered: is 2.0, takes a probability from 0 to 1",
        ),
        (["fit", str(TINY), "--objective.balanced.options.window", "4"], "window"),
        (["fit", str(TINY), "--model.num-classes", "3"], "model.num_classes: is 3, but the data has 4"),
        (["fit", str(TINY), "--model.axis-name", "x"], "model.axis_name: is 'x'"),
    ],
)
def test_an_error_of_the_user_is_one_line_and_exit_code_2(arguments, message, prepared, capsys, tmp_path):
    if len(arguments) > 2:
        arguments = [*arguments, "--data-dir", str(prepared), "--run-dir", str(tmp_path / "run")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_lambda_in_a_config_is_refused(tmp_path, prepared, capsys):
    config = tmp_path / "mine.py"
    config.write_text(TINY.read_text().replace("dice_loss, scale", "lambda z, y, weights: z[..., 0], scale"))
    assert main(["fit", str(config), "--run-dir", str(tmp_path / "run"), "--data-dir", str(prepared)]) == 2
    assert "objective.dice.loss: <lambda> cannot be found again" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_config_is_refused(run, prepared, capsys):
    before = (run / "metrics.jsonl").read_text()
    assert main(command(run, prepared, "--seed", "1")) == 2
    assert "belongs to another config (seed: 0 -> 1)" in capsys.readouterr().err
    assert (run / "metrics.jsonl").read_text() == before


def test_help_shows_every_field_with_the_files_own_value(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", str(TINY), "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for expected in (
        "--data.size",
        "--model.width",
        "--objective.balanced.options.beta",
        "--objective.dice.scale",
        "--data-dir",
        "--epochs",
    ):
        assert expected in text
    assert "(default: 0.9)" in text


def test_predict_names_a_bad_image(run, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["predict", str(run), str(bad), "--out", str(tmp_path / "out")]) == 2
    assert "bad.png" in capsys.readouterr().err
    assert main(["predict", str(run), str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "none: no such file or folder" in capsys.readouterr().err
    assert main(["predict", str(run), "--out", str(tmp_path / "out")]) == 2
    assert "no images given" in capsys.readouterr().err
