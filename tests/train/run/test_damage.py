"""Files of a run that are missing, empty, cut off or edited: read as they are, or refused in one line."""

import dataclasses
import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from balanced_jax.metrics import ConfusionCounts
from tests.tiny import TINY
from tests.tiny import config as tiny
from tests.train.records import CLASSES, decision_figures, decision_rule, epoch_record, evaluation, muting
from train import records
from train.comparison.collect import read_cell
from train.comparison.definition import Cell
from train.config import Config
from train.data.facts import DataFacts
from train.data.pixels import png_bytes
from train.errors import UserError
from train.inspection.muting import Muting
from train.measures.records import Costs, EpochRecord
from train.run import directory
from train.run.decision import current_rule, write_decision
from train.run.files import read_rows, write_json, write_rows
from train.run.log import LogFile
from train.run.members import Member, read_members, write_members
from train.run.results import (
    ImageCounts,
    read_image_counts,
    read_label_maps,
    write_image_counts,
    write_label_map,
)
from train.training.experiment import Experiment
from train.training.loop import _finished_epochs

FACTS = DataFacts(CLASSES, 1, 16, 8, "abc")  # two steps an epoch
EPOCHS = [epoch_record(epoch, step=2 * epoch) for epoch in (1, 2, 3)]
CELL = Cell("cell", {}, tiny)


@pytest.fixture
def run(tmp_path):
    """The small files of a finished run."""
    path = tmp_path / "run"
    path.mkdir()
    directory.begin_or_resume(path, tiny, TINY, FACTS)
    write_rows(path / "metrics.jsonl", EPOCHS)
    write_json(path / "muting.json", muting())
    write_json(path / "evaluation.json", dataclasses.replace(evaluation(), step=6))
    write_decision(path, decision_rule(), decision_figures(), step=6, data="abc", costs=Costs(10, 1))
    counts = ConfusionCounts(*np.arange(18).reshape(3, 2, 3))
    write_image_counts(path, ImageCounts(("a", "b"), ("a", "b"), CLASSES, counts, counts))
    write_label_map(path, 1, png_bytes(np.ones((4, 4), np.uint8)))
    write_members(path / "mean", [Member("..", 6, "5e"), Member("../b", 4, "f3")])
    return path


READERS: dict[str, Callable[[Path], Any]] = {
    "config.json": directory.read_run,
    "metrics.jsonl": lambda run: _finished_epochs(Experiment(tiny, FACTS), run, 6),
    "muting.json": lambda run: directory.read_muting(run, CLASSES),
    "evaluation.json": lambda run: directory.read_evaluation(run, 6, CLASSES),
    "decision.json": lambda run: current_rule(run, 6, FACTS),
    "image_counts.csv": read_image_counts,
    "label_maps/00001.png": read_label_maps,
    "mean/members.json": lambda run: read_members(run / "mean"),
}
VALUES = (None, True, -1, 0, 2.7, 1e9, "", "x", [], {}, [1], {"a": 1}, float("nan"), 10**400)


def refused(name: str, run: Path) -> str | None:
    """Return the message of the reader of a file, one line that names it; None if it was read."""
    try:
        READERS[name](run)
    except UserError as error:
        message = str(error)
    else:
        return None
    assert str(run / name) in message or "this version reads" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_whole_is_read(name, run):
    assert refused(name, run) is None


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_empty_or_of_another_kind_is_refused_with_the_remedy(name, run):
    remedy = {"evaluation": "run `evaluate`", "image_counts": "run `evaluate`", "00001": "run `evaluate`",
              "muting": "run `fit`", "members": "make the mean anew", "decision": "choose anew"}  # fmt: skip
    for content in (b"", b"\n", b"\xff\xfe\x00", b"[", b"[" * 10**5, b"3", b"[]", b"{}", b"null", bytes(64)):
        (run / name).write_bytes(content)
        message = refused(name, run)
        assert message is not None
        assert remedy.get((run / name).stem, "bring it back from a copy") in message
    (run / name).unlink()
    (run / name).mkdir()
    assert "config.json" in name or refused(name, run)


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_cut_off_is_refused_or_read_whole(name, run):
    whole = (run / name).read_bytes()
    expected = READERS[name](run)
    for length in random.Random(0).sample(range(len(whole)), 60 if len(whole) > 60 else 40):
        (run / name).write_bytes(whole[:length])
        if refused(name, run) is None:
            np.testing.assert_equal(READERS[name](run), expected)


@pytest.mark.parametrize(
    "name",
    ["config.json", "metrics.jsonl", "muting.json", "evaluation.json", "decision.json", "mean/members.json"],
)
def test_an_edited_value_is_refused_in_one_line_or_is_of_its_type(name, run):
    file = run / name
    rows = [json.loads(line) for line in file.read_text().splitlines()] if name.endswith("l") else None
    chance, count = random.Random(0), 0
    for _ in range(200):
        content = json.loads(json.dumps(rows[0])) if rows else json.loads((run / name).read_text())
        edited = json.loads(json.dumps(content))
        change(edited, chance)
        text = json.dumps(edited)
        whole = file.read_text()
        file.write_text("\n".join([text, *map(json.dumps, rows[1:]), ""]) if rows else text)
        count += refused(name, run) is not None
        file.write_text(whole)
    assert count > 50


def change(value: Any, chance: random.Random) -> None:
    """Remove, add or replace one value inside JSON values."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = chance.choice(keys)
    if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.8:
        change(value[key], chance)
    elif chance.random() < 0.2:
        del value[key]
    else:
        value[key] = chance.choice(VALUES)


def edit(file: Path, path: str, value: Any) -> None:
    content = json.loads(file.read_text())
    *parents, last = path.split("/")
    inner = content
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("threshold", [float("nan"), 0, -1, 1, 1e9, "0.5", None, True])
def test_a_threshold_that_no_evaluation_chooses_is_refused(threshold, run):
    edit(run / "evaluation.json", "decided/thresholds/pit", threshold)
    message = refused("evaluation.json", run)
    assert message is not None
    assert "thresholds" in message
    assert "pit" in message


@pytest.mark.parametrize("area", [0, -1, 4097, 1e9, 2.5, None, "1"])
def test_a_minimum_area_that_no_evaluation_chooses_is_refused(area, run):
    edit(run / "evaluation.json", "decided/minimum_areas/pit", area)
    message = refused("evaluation.json", run)
    assert message is not None
    assert "minimum_areas" in message


def test_records_of_other_classes_are_refused(run):
    with pytest.raises(UserError, match=r"decision.json: is of the classes .*pit, the run of .*crack"):
        current_rule(run, 6, dataclasses.replace(FACTS, classes=(*CLASSES[:-1], "crack")))
    with pytest.raises(UserError, match=r"evaluation.json: is of the classes .*pit, the run of .*crack"):
        directory.read_evaluation(run, 6, (*CLASSES[:-1], "crack"))
    with pytest.raises(UserError, match=r"muting.json: is of the classes .*run `fit`"):
        directory.read_muting(run, ("a", "b"))


def test_an_epoch_of_another_length_or_with_other_terms_is_refused(run):
    write_rows(run / "metrics.jsonl", [EPOCHS[0], dataclasses.replace(EPOCHS[1], step=3)])
    with pytest.raises(UserError, match=r"metrics.jsonl: has step 3 in epoch 2"):
        _finished_epochs(Experiment(tiny, FACTS), run, 4)
    write_rows(run / "metrics.jsonl", [EPOCHS[0], dataclasses.replace(EPOCHS[1], terms={"ce": 1.0})])
    with pytest.raises(UserError, match=r"metrics.jsonl: has other terms in epoch 2"):
        directory.read_epochs(run, CLASSES)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("config/epochs", "3", r"train.config:Config: epochs: is '3', takes int"),
        ("config/data", None, r"data: is None, takes .*DataSet"),
        ("config/input/crop", 32, r"crop: is 32, takes"),
        ("config/model/width", 2.5, r"width: is 2.5, takes int"),
        ("config/objective", {"a": 3}, r"objective: .*takes dict"),
        ("config/colour", 3, r"train.config:Config: .*colour"),
        ("config", {"@type": "train.config:Ramp", "start": 0, "end": 1}, "has a Ramp in place of its config"),
        ("format", "2", "has the format '2', which is no such number"),
        ("data", 3, "has no object `data`"),
        ("data/channels", 0, "channels: is 0, takes at least 1"),
        ("data/classes", ["a", "a"], "takes two or more different names"),
        ("versions", None, "has no object `versions`"),
    ],
)
def test_what_is_wrong_in_config_json_is_named(path, value, message, run):
    edit(run / "config.json", path, value)
    with pytest.raises(UserError, match=rf"config.json: .*{message}"):
        directory.read_run(run)


def test_the_last_line_of_the_metrics_is_needed_only_before_the_checkpoint(run, caplog):
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(f"\n{text[:-9]}")
    assert read_rows(run / "metrics.jsonl", EpochRecord) == EPOCHS[:2]
    experiment = Experiment(tiny, FACTS)
    for step in (4, 5):
        assert _finished_epochs(experiment, run, step) == EPOCHS[:2]
    with pytest.raises(UserError, match="has 2 of the 3 epochs before the checkpoint of step 6"):
        _finished_epochs(experiment, run, 6)
    lines = text.splitlines(keepends=True)
    for wrong in (lines[:1] + lines[:1] + lines[2:], lines[1:] + lines[:1]):
        (run / "metrics.jsonl").write_text("".join(wrong))
        with pytest.raises(UserError, match=r"metrics.jsonl: has epoch . in place of epoch"):
            _finished_epochs(experiment, run, 6)
    (run / "metrics.jsonl").write_text(f"{lines[0][:-9]}\n{lines[1]}")
    with pytest.raises(UserError, match=r"metrics.jsonl: line 1 is cut off or no JSON"):
        read_rows(run / "metrics.jsonl", EpochRecord)
    (run / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match="has 0 of the 3 epochs"):
        _finished_epochs(experiment, run, 6)


def test_metrics_of_other_classes_are_refused(run):
    with pytest.raises(UserError, match="is of the classes background, scratch, pit, the run of a, b"):
        _finished_epochs(Experiment(tiny, dataclasses.replace(FACTS, classes=("a", "b"))), run, 6)


def test_a_missing_config_py_does_no_harm_where_the_config_needs_none(run):
    for config_file in (TINY, run / "config.py"):
        (run / "config.py").unlink(missing_ok=True)
        [note] = directory.begin_or_resume(run, tiny, config_file, FACTS)
        assert "config.py: is missing" in note
    assert isinstance(directory.read_run(run)[0], Config)


def test_checkpoints_without_a_config_are_not_taken_over_by_another(run):
    (run / "checkpoints" / "6").mkdir(parents=True)
    (run / "config.json").unlink()
    with pytest.raises(UserError, match=r"config.json: is missing, but there are checkpoints; bring it back"):
        directory.begin_or_resume(run, tiny, TINY, FACTS)
    assert not (run / "config.json").exists()


def test_a_log_that_is_no_text_is_continued(run):
    (run / "log.txt").write_bytes(b"begun \xff\n")
    handler = LogFile(run / "log.txt")
    handler.handle(handler_record("going on"))
    assert "begun" in (run / "log.txt").read_text()
    assert "going on" in (run / "log.txt").read_text()


def handler_record(text: str) -> Any:
    return logging.LogRecord("train", logging.INFO, "", 0, text, (), None)


@pytest.mark.parametrize("value", [3, "yesterday", None, {"a": 1}])
def test_a_comparison_names_a_damaged_config_json(value, run):
    assert read_cell(CELL, run).record.state == "done"
    edit(run / "config.json", "started", value)
    if value is not None:  # as outside a git checkout
        with pytest.raises(UserError, match=r"config.json: started|config.json: Invalid isoformat"):
            read_cell(CELL, run)


def test_records_take_no_value_of_another_type_for_theirs():
    for value in ("9", 9.0, True, None):
        with pytest.raises(ValueError, match=r"images: is .*, takes a whole number"):
            records.from_json(records.to_json(muting()) | {"images": value}, Muting)
