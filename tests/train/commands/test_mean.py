"""The mean of several runs: a directory that evaluate, predict and export take like a run."""

import dataclasses
import functools
import json
import re
import shutil

import jax
import jax.export
import jaxtyping
import numpy as np
import pytest
from etils import epath
from PIL import Image

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.models import UNet
from tests.tiny import TINY
from tests.tiny import config as tiny
from tests.train.commands import refusal
from tests.train.display.pages.reading import words
from tests.untrained import gray_facts, make_run
from train.__main__ import main
from train.config import Input, Term
from train.configfile import ConfigFile
from train.errors import UserError
from train.inference.tiles import Predictor, Tiling
from train.inference.trained import load_trained, make_mean
from train.measures.decision import best_thresholds, threshold_counts
from train.measures.figures import stack
from train.paths import relative
from train.run.checkpoints import Checkpoints
from train.run.decision import current_decision
from train.run.directory import read_evaluation, read_facts, read_run
from train.run.members import Member
from train.setup import set_up
from train.training.experiment import Experiment

refused = functools.partial(refusal.refused, "evaluate")
CLASSES = ("background", "scratch", "spot", "pit")
FIRST = dataclasses.replace(tiny, model=UNet(width=4, depth=0))
OTHER = dataclasses.replace(
    FIRST,
    model=UNet(width=2, depth=0, norm="group"),
    objective={"cross_entropy": Term(softmax_cross_entropy)},
    input=Input(crop=(16, 16)),
    seed=1,
    ema=0.9,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with prepared data, two runs that have learned nothing, and their mean, evaluated."""
    place = tmp_path_factory.mktemp("mean")
    (place / "runs").mkdir()
    for name, config in (("a", FIRST), ("b", OTHER)):
        experiment, _ = set_up(config, data_dir=place, source=None)
        make_run(place / "runs" / name, experiment)
    assert main([*evaluate(place), "--out", str(place / "mean")]) == 0
    return place


def evaluate(place):
    return ["evaluate", *(str(place / "runs" / name) for name in "ab"), "--data-dir", str(place)]


def probabilities(run_dir, images):
    trained = load_trained(run_dir, "best")
    canvas = np.max([image["image"].shape[:2] for image in images], 0).tolist()
    predict = Predictor(trained.experiment, canvas, Tiling())
    return [result for _, result in predict(trained.state, images)]


@pytest.fixture(scope="module")
def data(place):
    return set_up(FIRST, data_dir=place, source=None)[1]


@pytest.fixture(scope="module")
def mean(place, data):
    """The probabilities of the images of the validation part, averaged over the two runs."""
    part = data.parts["validation"]
    images = [part[i] for i in range(len(part))]
    each = [np.stack(probabilities(place / "runs" / name, images)) for name in "ab"]
    assert np.abs(each[0] - each[1]).max() > 0.1
    return images, np.mean(each, 0, np.float64)


def test_probabilities_are_the_mean_of_those_of_the_runs(place, mean):
    images, expected = mean
    np.testing.assert_allclose(probabilities(place / "mean", images), expected, rtol=0, atol=1e-6)


def test_thresholds_are_chosen_for_the_mean(place, data, mean):
    images, probability = mean
    counts = [
        threshold_counts(each[..., 1:].astype(np.float32), image["label"])
        for each, image in zip(probability, images, strict=True)
    ]
    evaluation = read_evaluation(place / "mean", 2, data.classes)
    assert evaluation is not None
    assert list(evaluation.decided.thresholds.values()) == best_thresholds(stack(counts)).tolist()


@pytest.fixture
def copied(place, tmp_path):
    """The runs and their mean at another place."""
    for name in ("runs", "mean"):
        shutil.copytree(place / name, tmp_path / name)
    return tmp_path


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_the_report_shows_the_runs_and_their_figures_on_the_same_part(place, copied, capsys):
    for name, part in (("a", "test"), ("b", "validation")):
        file = copied / "runs" / name / "evaluation.json"
        shutil.copy(copied / "mean" / "evaluation.json", file)
        edit(file, lambda content, part=part: content.update(step=1, part=part, headline=0.123))
    assert main(["evaluate", str(copied / "mean"), "--data-dir", str(place)]) == 0
    text = words((copied / "mean" / "report.html").read_text())
    table = text[text.index("Runs of the mean") : text.index("Figures by class")]
    assert re.search(r"\.\./runs/a [\d. ]* 0\.123 [\d.]+ \.\./runs/b \N{EN DASH} .* mean of the runs", table)
    assert re.search(r"\.\./runs/a +0\.123", capsys.readouterr().out)
    assert "seed 1" in text[text.rindex("../runs/b") :]


def test_runs_and_mean_can_be_moved_together(place, copied, mean):
    images, expected = mean
    (moved := copied / "moved").mkdir()
    for name in ("runs", "mean"):
        (copied / name).rename(moved / name)
    np.testing.assert_allclose(probabilities(moved / "mean", images), expected, rtol=0, atol=1e-6)


def save(run_dir, step, change):
    checkpoints = Checkpoints(run_dir)
    experiment = Experiment(*read_run(run_dir))
    state = experiment.restore(checkpoints, 1)
    checkpoints.save(step, jax.tree.map(change, state), 0.5)


def damage(run_dir):
    largest = max((run_dir / "checkpoints" / "1").rglob("*"), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.rename(run.with_name("c")), "cannot be read .*runs/b: not a run directory"),
        (lambda run: shutil.rmtree(run / "checkpoints" / "1"), "cannot be read .*runs/b: has no checkpoint"),
        (damage, "cannot be read .*checkpoints/1: is damaged"),
        (
            lambda run: save(run, 2, lambda x: x),
            "has changed .*runs/b: its best checkpoint, of step 2, is not the recorded one, of step 1",
        ),
        (lambda run: save(run, 1, lambda x: -x), "has changed .*runs/b: .* step 1"),
    ],
    ids=["moved", "deleted", "damaged", "trained further", "replaced"],
)
def test_a_run_that_is_no_more_what_it_was_is_refused(change, message, copied, capsys):
    change(copied / "runs" / "b")
    arguments = [copied / "mean", copied, "--out", copied / "out"]
    error = refusal.refused("predict", arguments, capsys)
    assert re.search(f"{copied / 'mean'}: a run of this mean {message}", error)
    assert f"make the mean anew: evaluate RUN_DIR RUN_DIR ... --out {copied / 'mean'}" in error


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data/classes", ["background", "scratch", "spot", "hole"], r'classes: .*"pit"\] -> .*"hole"\]'),
        ("data/fingerprint", "abc", 'fingerprint: "[0-9a-f]{12}" -> "abc"'),
        ("config/input/mean", 0.4, "input.mean: 0.5 -> 0.4"),
        ("config/input/size", [24, 24], r"input.size: null -> \[24, 24\]"),
    ],
)
def test_runs_that_differ_in_what_a_mean_needs_are_refused(field, value, message, copied, capsys):
    *parents, name = field.split("/")
    runs = copied / "runs"
    edit(
        runs / "b" / "config.json",
        lambda content: functools.reduce(dict.__getitem__, parents, content).update({name: value}),
    )
    error = refused([runs / "a", runs / "b", "--out", copied / "new"], capsys)
    assert re.search(
        f"runs/b: cannot be averaged with .*runs/a \\({message}\\); take runs on the same data", error
    )
    assert not (copied / "new").exists()


def test_a_mean_replaces_a_mean_and_no_other_folder(copied, capsys):
    runs, mean_dir = copied / "runs", copied / "mean"
    assert read_evaluation(mean_dir, 2, CLASSES) is not None
    assert make_mean(mean_dir, [runs / "b"], "best").step == 1
    assert [member.run for member in load_trained(mean_dir, "best").members] == ["../runs/b"]
    assert read_evaluation(mean_dir, 1, CLASSES) is None
    for out in (runs, runs / "a", runs / "a" / "config.json"):
        assert "is there already, and no mean of runs" in refused([runs / "a", "--out", out], capsys)


def test_what_has_no_meaning_for_a_mean_is_refused_in_one_line(place, capsys):
    mean_dir, data_dir = place / "mean", ["--data-dir", place]
    runs = [place / "runs" / name for name in "ab"]
    assert "several runs are evaluated as their mean; give --out DIR" in refused(runs, capsys)
    again = [runs[0], runs[0], "--out", place / "new"]
    assert "runs/a: is given more than once" in refused(again, capsys)
    nested = f"{mean_dir}: is the mean of several runs, not a run; take one of those in members.json"
    assert nested in refused([runs[0], mean_dir, "--out", place / "new"], capsys)
    for arguments in ([mean_dir], [*runs, "--out", mean_dir]):
        error = refused([*arguments, "--checkpoint", "latest"], capsys)
        assert f"{mean_dir}: --checkpoint is latest, but a mean is one of best checkpoints" in error
    for arguments in ([mean_dir], [TINY, "--run-dir", mean_dir], [TINY, "--init-from", mean_dir]):
        assert nested in refusal.refused("fit", [*arguments, *data_dir], capsys)


def test_predict_takes_a_mean_and_its_decision(place, mean, tmp_path):
    images, expected = mean
    for number, image in enumerate(images):
        Image.fromarray(image["image"].squeeze(-1)).save(tmp_path / f"{number}.png")
    arguments = [
        "predict",
        place / "mean",
        tmp_path,
        "--out",
        tmp_path / "out",
        "--decide",
        "--probabilities",
    ]
    assert main([*map(str, arguments)]) == 0
    for number, probability in enumerate(expected):
        with np.load(tmp_path / "out" / f"{number}_probabilities.npz") as file:
            np.testing.assert_allclose(file["probabilities"], probability, rtol=0, atol=1e-3)


def test_a_decision_of_a_person_for_a_mean(copied, place, capsys):
    mean_dir, runs = copied / "mean", [str(copied / "runs" / name) for name in "ab"]
    data_dir = ["--data-dir", str(place)]
    numbers = [f"{name}={{}}" for name in CLASSES[1:]]
    flags = ["--thresholds", *(each.format(0.3) for each in numbers)]
    flags += ["--minimum-areas", *(each.format(2) for each in numbers)]
    assert main(["evaluate", str(mean_dir), *data_dir, *flags]) == 0
    facts = read_facts(copied / "runs" / "a")
    decision = current_decision(mean_dir, 2, facts)
    assert decision is not None
    assert set(decision.rule.thresholds.values()) == {0.3}
    assert main(["evaluate", *runs, "--out", str(mean_dir), *data_dir]) == 0  # of the same runs
    assert current_decision(mean_dir, 2, facts) == decision
    evaluation = read_evaluation(mean_dir, 2, CLASSES)
    assert evaluation is not None
    assert evaluation.chosen is not None
    assert evaluation.chosen.rule == decision.rule
    assert "chosen by a person" in (mean_dir / "report.html").read_text()
    assert main(["evaluate", runs[1], "--out", str(mean_dir), *data_dir]) == 0
    assert current_decision(mean_dir, 1, facts) is None


@pytest.fixture
def unchecked():
    """Free sizes are beyond the shape checker."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_one_exported_file_holds_all_runs(place, mean, tmp_path):
    images, expected = mean
    out = tmp_path / "out"
    assert main(["export", str(place / "mean"), "--out", str(out), "--no-onnx"]) == 0
    network = jax.export.deserialize(bytearray((out / "model.stablehlo").read_bytes()))
    result = network.call(np.stack([image["image"] for image in images]))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)
    about = json.loads((out / "model.json").read_text())
    assert [member["run"] for member in about["run"]["members"]] == ["../runs/a", "../runs/b"]
    evaluation = read_evaluation(place / "mean", about["run"]["step"], CLASSES)
    assert evaluation is not None
    assert about["thresholds"] == evaluation.decided.thresholds
    assert about["decision"] is None


NETWORK = """
import dataclasses
import flax.linen as nn
from tests.train.commands.test_mean import FIRST

class Network(nn.Module):
    num_classes: int = 2

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(self.num_classes, name="{name}")(images)

config = dataclasses.replace(FIRST, model=Network())
"""


def test_runs_may_have_networks_of_one_name_in_their_own_config_files(tmp_path):
    images = [{"image": np.arange(12, dtype=np.uint8).reshape(3, 4, 1)}]
    runs = [tmp_path / name for name in "ab"]
    for run_dir in runs:
        config_file = tmp_path / f"{run_dir.name}.py"
        config_file.write_text(NETWORK.format(name=f"scores_{run_dir.name}"))
        config = ConfigFile(config_file, None).load()
        make_run(run_dir, Experiment(config, gray_facts(CLASSES)), config_file)
    make_mean(tmp_path / "mean", runs, "best")
    expected = np.mean([probabilities(run_dir, images) for run_dir in runs], 0)
    np.testing.assert_allclose(probabilities(tmp_path / "mean", images), expected, rtol=0, atol=1e-6)


def test_paths_lead_through_links_and_addresses_of_buckets_stay(tmp_path):
    (tmp_path / "deep" / "mean").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "mean")
    assert relative(tmp_path / "run", tmp_path / "link") == "../../run"
    assert Member("../../run", 1, "").run_dir(tmp_path / "link") == tmp_path / "run"
    assert relative(epath.Path("gs://bucket/run"), tmp_path) == "gs://bucket/run"
    for address, message in (("gs://bucket/run", "cannot be reached"), ("x://y", "no known kind of bucket")):
        with pytest.raises(UserError, match=f"^{address}: .*{message}"):
            Member(address, 1, "").run_dir(tmp_path)
