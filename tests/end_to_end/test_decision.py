"""A person's decision from the command line, on a trained run."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from train.__main__ import main
from train.run.directory import read_facts


@pytest.fixture
def decided(run, prepared, tmp_path, capsys):
    """A copy of a finished run, and a function that evaluates it and returns what was printed."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    capsys.readouterr()

    def evaluate(*flags) -> str:
        assert main(["evaluate", str(copy), "--data-dir", str(prepared), *map(str, flags)]) == 0
        return " ".join(capsys.readouterr().out.split())

    return copy, evaluate


def content(file):
    return json.loads(file.read_text())


def test_a_decision_is_written_measured_beside_the_automatic_choice_and_removed(decided):
    run, evaluate = decided
    automatic = content(run / "evaluation.json")
    counts = (run / "image_counts.csv").read_text()
    printed = evaluate("--thresholds", "pit=0.35", "--minimum-areas", "pit=3", "spot=2")
    assert "chosen by a person" in printed
    decision = content(run / "decision.json")
    before = automatic["decided"]
    assert decision["rule"]["thresholds"] == before["thresholds"] | {"pit": 0.35}
    assert decision["rule"]["minimum_areas"] == before["minimum_areas"] | {"pit": 3, "spot": 2}
    assert (decision["step"], decision["data"]) == (automatic["step"], read_facts(run).fingerprint)
    figures = decision["figures"]
    assert f"{figures['wrongly_passed']} of {figures['defective']} images with a defect" in printed
    assert content(run / "evaluation.json") == automatic

    assert "thresholds and minimum areas chosen by a person" in evaluate()
    measured = content(run / "evaluation.json")
    assert measured | {"chosen": None} == automatic
    assert measured["chosen"]["thresholds"] == decision["rule"]["thresholds"]
    assert (run / "image_counts.csv").read_text() == counts
    report = (run / "report.html").read_text()
    assert f"Chosen at {decision['chosen']} on the validation part" in report

    assert "by a person" not in evaluate("--automatic")
    assert not (run / "decision.json").exists()
    assert content(run / "evaluation.json") == automatic
    assert "by a person" not in (run / "report.html").read_text()


def test_figures_of_the_validation_part_are_those_of_its_evaluation(decided):
    run, evaluate = decided
    evaluate(
        "--thresholds", "scratch=.2", "spot=.3", "pit=.4", "--minimum-areas", "scratch=5", "spot=1", "pit=2"
    )
    figures = content(run / "decision.json")["figures"]
    evaluate("--part", "validation")
    chosen = content(run / "evaluation.json")["chosen"]
    assert figures["headline"] == chosen["headline"]
    for name, row in figures["classes"].items():
        of_class, ranges = chosen["classes"][name], chosen["components"][name].values()
        assert row["iou"] == of_class["iou"]["dataset"]
        assert (row["precision"], row["recall"]) == (of_class["precision"], of_class["recall"])
        assert row["found"] == sum(each["touched"] for each in ranges)
        assert row["found"] + row["missed"] == sum(each["labeled"] for each in ranges)
        assert row["false_alarms"] == sum(each["false_alarms"] for each in ranges)


def test_costs_choose_a_rule_that_follows_them(decided):
    run, evaluate = decided
    printed, figures = {}, {}
    for costs in ((1000, 1), (1, 1000)):
        printed[costs] = evaluate("--costs", *costs)
        decision = content(run / "decision.json")
        assert decision["costs"] == {"miss": costs[0], "false_alarm": costs[1]}
        figures[costs] = decision["figures"]
        total = costs[0] * figures[costs]["wrongly_passed"] + costs[1] * figures[costs]["wrongly_scrapped"]
        assert f"cost {total}:" in printed[costs]
    few_misses, few_alarms = figures.values()
    assert few_misses["wrongly_passed"] <= few_alarms["wrongly_passed"]
    assert few_misses["wrongly_scrapped"] >= few_alarms["wrongly_scrapped"]


def test_a_decision_for_another_checkpoint_is_left_aside_with_a_warning(decided):
    run, evaluate = decided
    automatic = content(run / "evaluation.json")
    evaluate("--thresholds", "pit=0.35")
    file = run / "decision.json"
    file.write_text(json.dumps(content(file) | {"step": 9999}))
    printed = evaluate()
    assert "decision.json: was chosen for the checkpoint of step 9999, this one is of step" in printed
    assert "warning: " in printed
    assert content(run / "evaluation.json") == automatic


def test_predict_applies_the_decision_and_refuses_that_of_another_checkpoint(decided, tmp_path, capsys):
    run, evaluate = decided
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    shown = {}
    for threshold in (0.001, 0.999):
        names = ("scratch", "spot", "pit")
        numbers = [f"{name}={threshold}" for name in names]
        evaluate("--thresholds", *numbers, "--minimum-areas", *(f"{name}=1" for name in names))
        out = tmp_path / f"{threshold}"
        predict = ["predict", str(run), str(tmp_path / "image.png"), "--decide", "--out"]
        assert main([*predict, str(out)]) == 0
        with Image.open(out / "image.png") as image:
            shown[threshold] = np.count_nonzero(image)
    assert shown[0.001] > shown[0.999] == 0
    file = run / "decision.json"
    file.write_text(json.dumps(content(file) | {"step": 9999}))
    capsys.readouterr()
    assert main([*predict, str(tmp_path / "other")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: {file}: was chosen for the checkpoint of step 9999, this one is of step "
    )
    assert error.count("\n") == 1
    assert not (tmp_path / "other").exists()
