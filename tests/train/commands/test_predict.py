"""Prediction as a factory uses it: what is written, what it says, and what is left after a mishap."""

import csv
import dataclasses
import functools
import io
import json
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from tests.train.commands import refusal
from tests.train.records import evaluation
from tests.untrained import gray_facts, make_run
from train.__main__ import main
from train.commands.predict import largest_size
from train.config import Input
from train.data.formats.images import read_head, read_image
from train.errors import UserError
from train.inference.viewers import classifier
from train.run.files import write_json
from train.training.experiment import Experiment

CLASSES = ("background", "scratch", "spot", "pit")
refused = functools.partial(refusal.refused, "predict")
SIZES = {"one": (40, 30), "deep/two": (25, 33), "three": (100, 70)}


def made(size=None):
    return Experiment(
        dataclasses.replace(tiny, model=UNet(width=4, depth=1), input=Input(size=size)), gray_facts(CLASSES)
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs that have learnt nothing; the second resizes its images."""
    place = tmp_path_factory.mktemp("runs")
    make_run(place / "plain", made())
    make_run(place / "resized", made((48, 40)))
    return place


@pytest.fixture(scope="module")
def run(runs):
    return runs / "plain"


def pixels(name):
    """Bright and dark blots, so that there are components of more than a pixel."""
    rng = np.random.default_rng(len(name))
    noise = ndimage.gaussian_filter(rng.normal(0, 1, SIZES[name]), 2)
    return np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in SIZES:
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(name)).save(path)
    return tmp_path / "images"


def predicted(run, source, out, *options):
    assert main(["predict", str(run), str(source), "--out", str(out), *map(str, options)]) == 0
    return out


def array(path):
    with Image.open(path) as image:
        return np.asarray(image)


def probabilities(out, name):
    with np.load(out / f"{name}_probabilities.npz") as file:
        assert file["classes"].tolist() == list(CLASSES)
        result = file["probabilities"]
    assert (result.dtype, result.shape) == (np.float16, (*SIZES[name], 4))
    return result.astype(np.float64)


def numbered(mask) -> tuple[np.ndarray, int]:
    labeled: Any = ndimage.label(mask, np.ones((3, 3)))
    return labeled


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["plain", "resized"])
def test_class_maps_are_those_of_evaluation(kind, runs, folder, tmp_path):
    out = predicted(runs / kind, folder, tmp_path / "out")
    experiment = made(None if kind == "plain" else (48, 40))
    state = jax.device_get(experiment.random_state())
    examples = [{"image": pixels(n)[..., None], "label": np.zeros(s, np.uint8)} for n, s in SIZES.items()]
    classified = classifier(experiment, (100, 70))(state, examples)
    for name, expected in zip(SIZES, classified, strict=True):
        classes = array(out / f"{name}.png")
        assert len(np.unique(classes)) > 1
        np.testing.assert_array_equal(classes, expected.classes)


@pytest.mark.parametrize("kind", ["plain", "resized"])
def test_tiles_and_flips_give_classes_and_probabilities_of_each_image(kind, runs, folder, tmp_path):
    small = ("--tile", 64, 64, "--overlap", 16, "--flips", "--probabilities")
    out = predicted(runs / kind, folder, tmp_path / "out", *small)
    whole = predicted(runs / kind, folder, tmp_path / "whole", "--flips", "--probabilities")
    for name in SIZES:
        result, expected = probabilities(out, name), probabilities(whole, name)
        np.testing.assert_allclose(result.sum(-1), 1, rtol=0, atol=2e-3)
        # Away from the borders the same; near them the network sees less.
        assert np.median(np.abs(result - expected)) < 1e-3
        sure = np.sort(result, -1)
        sure = sure[..., -1] - sure[..., -2] > 2e-3
        np.testing.assert_array_equal(result.argmax(-1)[sure], array(out / f"{name}.png")[sure])


def test_flips_are_the_mean_of_predictions_of_the_mirrored_images(run, tmp_path):
    flips = [np.s_[:, :], np.s_[::-1, :], np.s_[:, ::-1], np.s_[::-1, ::-1]]
    folder = tmp_path / "images"
    folder.mkdir()
    for k, flip in enumerate(flips):
        Image.fromarray(np.ascontiguousarray(pixels("three")[flip])).save(folder / f"{k}.png")
    out = predicted(run, folder, tmp_path / "out", "--probabilities")
    four = predicted(run, folder / "0.png", tmp_path / "four", "--probabilities", "--flips")
    each, (mean,) = (
        [np.load(o / f"{k}_probabilities.npz")["probabilities"].astype(float) for k in range(n)]
        for o, n in ((out, 4), (four, 1))
    )
    expected = np.mean([x[flip] for x, flip in zip(each, flips, strict=True)], 0)
    np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-3)
    assert np.abs(mean - each[0]).max() > 0.01


def test_tables_say_what_stands_in_the_maps(run, folder, tmp_path):
    out = predicted(run, folder, tmp_path / "out", "--probabilities", "--components")
    images = {row["image"]: row for row in rows(out / "images.csv")}
    result = rows(out / "components.csv")
    assert set(images) == set(SIZES)
    assert list(images["one"]) == ["image", "score", "scratch", "spot", "pit"]
    assert list(result[0]) == ["image", "class", "area", "top", "left", "height", "width", "probability"]
    for name in SIZES:
        maps, classes = probabilities(out, name), array(out / f"{name}.png")
        assert float(images[name]["score"]) == pytest.approx((1 - maps[..., 0]).max(), abs=1e-3)
        for k in range(1, 4):
            assert float(images[name][CLASSES[k]]) == pytest.approx(maps[..., k].max(), abs=1e-3)
            labeled, count = numbered(classes == k)
            mine = [row for row in result if (row["image"], row["class"]) == (name, CLASSES[k])]
            assert len(mine) == count
            for number, row in enumerate(mine, start=1):
                inside = labeled == number
                ys, xs = np.nonzero(inside)
                box = [ys.min(), xs.min(), np.ptp(ys) + 1, np.ptp(xs) + 1]
                assert [int(row[c]) for c in ("area", "top", "left", "height", "width")] == [
                    inside.sum(),
                    *box,
                ]
                assert float(row["probability"]) == pytest.approx(maps[..., k][inside].mean(), abs=1e-3)
    assert max(int(row["area"]) for row in result) > 5
    other = predicted(run, folder, tmp_path / "json", "--components", "--json")
    assert not list(other.glob("*.csv"))
    for name, table in (("images", list(images.values())), ("components", result)):
        lines = [json.loads(line) for line in (other / f"{name}.jsonl").read_text().splitlines()]
        for line, row in zip(lines, table, strict=True):
            assert list(line) == list(row)
            for key, value in line.items():
                same = value if isinstance(value, str) else pytest.approx(value, rel=1e-6)
                assert type(value)(row[key]) == same
    assert not (predicted(run, folder, tmp_path / "bare") / "components.csv").exists()
    assert (tmp_path / "bare" / "images.csv").read_text() == (out / "images.csv").read_text()


@pytest.fixture
def evaluated(run):
    """Writes an evaluation with given thresholds and minimum areas."""
    file = run / "evaluation.json"

    def write(step, thresholds, minimum_areas):
        decided = dataclasses.replace(
            evaluation(CLASSES).decided,
            thresholds=dict(zip(CLASSES[1:], thresholds, strict=True)),
            minimum_areas=dict(zip(CLASSES[1:], minimum_areas, strict=True)),
        )
        write_json(file, dataclasses.replace(evaluation(CLASSES), step=step, decided=decided))

    yield write
    file.unlink(missing_ok=True)


def test_decide_takes_the_thresholds_and_areas_of_the_evaluation(run, folder, tmp_path, evaluated):
    maps = predicted(run, folder, tmp_path / "maps", "--probabilities")
    together = np.concatenate([probabilities(maps, name).reshape(-1, 4) for name in SIZES])
    thresholds = np.quantile(together[:, 1:], 0.8, axis=0) + 1e-5
    areas = [1, 12, 1000]
    evaluated(1, thresholds.tolist(), [1, 1, 1])
    without = predicted(run, folder, tmp_path / "without", "--decide")
    evaluated(1, thresholds.tolist(), areas)
    out = predicted(run, folder, tmp_path / "out", "--decide", "--components")
    dropped = 0
    for name in SIZES:
        ratio = probabilities(maps, name)[..., 1:] / thresholds
        expected = np.where(ratio.max(-1) > 1, ratio.argmax(-1) + 1, 0)
        result = array(without / f"{name}.png")
        # float16 leaves in doubt what is close to a threshold, or to another class.
        ranked = np.sort(ratio, -1)
        clear = (np.abs(ranked[..., -1] - 1) > 2e-3) & (ranked[..., -1] - ranked[..., -2] > 2e-3)
        assert clear.mean() > 0.4
        np.testing.assert_array_equal(result[clear], expected[clear])
        assert 0.05 < (result > 0).mean() < 0.95
        for k, area in enumerate(areas, start=1):
            labeled, _ = numbered(result == k)
            small = np.isin(labeled, np.flatnonzero(np.bincount(labeled.ravel()) < area)) & (result == k)
            dropped += small.sum()
            result = np.where(small, 0, result)
        np.testing.assert_array_equal(array(out / f"{name}.png"), result)
    assert dropped
    assert all(
        int(row["area"]) >= areas[CLASSES.index(row["class"]) - 1] for row in rows(out / "components.csv")
    )


def test_decisions_of_another_checkpoint_are_refused(run, folder, tmp_path, evaluated, capsys):
    arguments = [run, folder, "--out", tmp_path / "out", "--decide"]
    expected = f"run python -m train evaluate {run} --checkpoint best"
    assert expected in refused(arguments, capsys)
    evaluated(2, [0.5] * 3, [1] * 3)
    assert expected in refused(arguments, capsys)
    assert not (tmp_path / "out").exists()


def test_what_is_done_stays_when_a_damaged_image_ends_the_rest(run, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(30):
        Image.fromarray(pixels("three")).save(folder / f"{k:02}.png")
    whole = (folder / "29.png").read_bytes()
    middle = len(whole) // 2
    (folder / "29.png").write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    out = tmp_path / "out"
    error = refused([run, folder, "--out", out, "--components"], capsys)
    assert "29.png: is damaged" in error
    done = [row["image"] for row in rows(out / "images.csv")]
    assert done == [f"{k:02}" for k in range(len(done))]
    assert 10 < len(done) < 30
    for name in done:
        assert array(out / f"{name}.png").shape == (100, 70)
    assert {row["image"] for row in rows(out / "components.csv")} == set(done)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif"])
def test_an_image_that_is_cut_off_is_known_before_the_work(ending, run, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(pixels("three")).save(folder / f"{name}{ending}")
    last = folder / f"c{ending}"
    last.write_bytes(last.read_bytes()[:-300])
    assert f"c{ending}: is damaged" in refused([run, folder, "--out", tmp_path / "out"], capsys)
    assert not (tmp_path / "out").exists()


def test_an_image_of_another_kind_is_known_before_the_work(run, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(pixels("three")).save(folder / "a.png")
    Image.fromarray(pixels("three").astype(np.uint16) * 100).save(folder / "b.png")
    assert "b.png: has more than 8 bits" in refused([run, folder, "--out", tmp_path / "out"], capsys)
    assert not (tmp_path / "out").exists()


def turned(image, form, **options):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, form, exif=exif, **options)
    return file.getvalue()


def test_the_head_of_a_file_says_what_all_of_it_says_or_nothing(tmp_path):
    gray = Image.fromarray(pixels("one"))
    said = {}
    for form in ("PNG", "JPEG", "BMP", "TIFF"):
        for mode in ("L", "RGB"):
            gray.convert(mode).save(tmp_path / "image", form)
            said[form, mode] = read_head(tmp_path / "image")
            if said[form, mode] is not None:
                assert said[form, mode].size == (40, 30) == read_image(tmp_path / "image")[0].shape[:2]
    assert {form for (form, _), head in said.items() if head} == {"PNG", "JPEG"}
    assert said["PNG", "L"].kind != said["PNG", "RGB"].kind != said["JPEG", "RGB"].kind
    for form in ("PNG", "JPEG"):
        content = turned(gray, form)
        if form == "PNG":  # the orientation may stand behind the pixels as well
            start = content.index(b"eXIf") - 4
            length = int.from_bytes(content[start : start + 4], "big") + 12
            chunk = content[start : start + length]
            content = content[:start] + content[start + length : -12] + chunk + content[-12:]
        (tmp_path / "image").write_bytes(content)
        assert read_head(tmp_path / "image") is None
        assert largest_size([tmp_path / "image"], read_image) == (30, 40)
    (tmp_path / "image").write_bytes(b"")
    assert read_head(tmp_path / "image") is None
    with pytest.raises(UserError, match="is empty"):
        largest_size([tmp_path / "image"], read_image)


def test_images_of_one_kind_are_read_once_before_the_work(tmp_path):
    for k in range(5):
        Image.fromarray(pixels("one")).save(tmp_path / f"{k}.png")
    read = []

    def reading(path):
        read.append(path.name)
        return read_image(path)

    assert largest_size(sorted(tmp_path.iterdir()), reading) == (40, 30)
    assert read == ["0.png"]


def test_colors_and_gray_are_brought_to_the_channels_of_the_run(run, tmp_path):
    gray = pixels("three")
    colors = np.stack([gray, gray[::-1], 255 - gray], -1)
    Image.fromarray(colors).save(tmp_path / "rgb.png")
    Image.fromarray(colors).convert("L").save(tmp_path / "l.png")
    for name in ("rgb", "l"):
        predicted(run, tmp_path / f"{name}.png", tmp_path / name)
    np.testing.assert_array_equal(array(tmp_path / "rgb/rgb.png"), array(tmp_path / "l/l.png"))


def test_a_folder_is_searched_as_for_training(run, folder, tmp_path):
    for name in ("._one.png", ".ipynb_checkpoints/one.png", "slide.png/four.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / "one.png").read_bytes())
    (folder / "link").symlink_to((folder / "deep").rename(tmp_path / "elsewhere"))
    written = rows(predicted(run, folder, tmp_path / "out") / "images.csv")
    assert [row["image"] for row in written] == ["link/two", "one", "slide.png/four", "three"]


def test_what_the_user_can_mend_is_one_line_and_exit_code_2(run, folder, tmp_path, capsys):
    out = ["--out", tmp_path / "out"]
    assert "tile: is 64 64, takes at least 160 a side" in refused(
        [run, folder, *out, "--tile", 64, 64], capsys
    )
    assert "tile: is 0 64" in refused([run, folder, *out, "--tile", 0, 64, "--overlap", 0], capsys)
    assert "overlap: is -1, takes at least 0" in refused([run, folder, *out, "--overlap", -1], capsys)
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        assert "cannot be written" in refused([run, folder, "--out", place], capsys)
    assert ".png: would be replaced by a result" in refused([run, folder, "--out", folder], capsys)
    Image.fromarray(pixels("one")).save(folder / "one_overlay.png")
    assert "would both be written to one_overlay.png" in refused([run, folder, *out], capsys)
    assert not (tmp_path / "out").exists()
