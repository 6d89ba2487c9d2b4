"""A person's decision: written, read, refused for another checkpoint, removed."""

import dataclasses
import datetime
import json

import pytest

from tests.train.records import CLASSES, decision_figures, decision_rule, evaluation
from train.data.facts import DataFacts
from train.errors import UserError
from train.measures.records import Costs
from train.run.decision import (
    Decision,
    current_decision,
    current_rule,
    mismatch,
    read_decision,
    remove_decision,
    write_decision,
)
from train.run.files import write_json
from train.run.members import Member, write_members

FACTS = DataFacts(CLASSES, 1, 16, 8, "5a5b5c5d5e5f60")
COSTS = Costs(10, 1)


@pytest.fixture
def decision(tmp_path):
    return write_decision(
        tmp_path, decision_rule(), decision_figures(), step=6, data=FACTS.fingerprint, costs=COSTS
    )


def test_a_decision_is_read_as_it_was_written_now(tmp_path, decision):
    assert read_decision(tmp_path, FACTS) == current_decision(tmp_path, 6, FACTS) == decision
    assert (decision.rule, decision.figures, decision.costs) == (decision_rule(), decision_figures(), COSTS)
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(decision.chosen)
    assert datetime.timedelta(0) <= age < datetime.timedelta(hours=1)
    assert mismatch(decision, 6, FACTS) is None


def test_a_decision_stands_above_the_evaluation_and_without_it_the_evaluation_counts(tmp_path, decision):
    written = dataclasses.replace(evaluation(), step=6)
    write_json(tmp_path / "evaluation.json", written)
    assert current_rule(tmp_path, 6, FACTS) == decision.rule
    remove_decision(tmp_path)
    remove_decision(tmp_path)
    assert current_decision(tmp_path, 6, FACTS) is None
    assert current_rule(tmp_path, 6, FACTS) == written.decided.rule
    assert current_rule(tmp_path, 8, FACTS) is None


@pytest.mark.parametrize(
    ("step", "data", "message"),
    [
        (8, FACTS.fingerprint, "was chosen for the checkpoint of step 6, this one is of step 8"),
        (6, "0" * 64, r"was chosen on other data \(5a5b5c5d5e5f, these are 000000000000\)"),
    ],
)
def test_a_decision_for_another_checkpoint_or_other_data_is_refused(tmp_path, decision, step, data, message):
    facts = dataclasses.replace(FACTS, fingerprint=data)
    remedy = f"run python -m train evaluate {tmp_path} --automatic, or choose anew"
    for read in (current_decision, current_rule):
        with pytest.raises(UserError, match=rf"decision.json: {message}; {remedy}$"):
            read(tmp_path, step, facts)
    assert read_decision(tmp_path, facts) == decision


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rule/thresholds/pit", 1, r"thresholds.pit: is 1.0, takes a number between 0 and 1"),
        ("rule/minimum_areas/pit", 4097, r"minimum_areas.pit: is 4097, takes 1 to 4096"),
        ("rule/minimum_areas", {"pit": 1}, "minimum_areas: are of pit, the thresholds of scratch, pit"),
        ("costs/miss", 0, "costs.miss: is 0.0, takes a number above 0"),
        ("chosen", "yesterday", "yesterday"),
        ("chosen", "2026-01-31T12:00:00", "chosen: is 2026-01-31T12:00:00, takes a time in UTC"),
        ("figures/classes", {}, "figures: are of the classes , the rule of scratch, pit"),
        ("figures/wrongly_passed", 99, "wrongly_passed: is 99, takes 0 to"),
        ("rule", [], "rule: is no object with fields"),
        ("figures/wrongly_passed", 0.5, "wrongly_passed: is 0.5, takes a whole number"),
    ],
)
@pytest.mark.usefixtures("decision")
def test_an_edited_decision_is_refused_in_one_line(tmp_path, path, value, message):
    file = tmp_path / "decision.json"
    content = json.loads(file.read_text())
    *parents, last = path.split("/")
    inner = content
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"decision.json: .*{message}.*; choose anew, or remove it") as error:
        read_decision(tmp_path, FACTS)
    assert "\n" not in str(error.value)


def test_a_time_of_another_zone_is_refused():
    with pytest.raises(ValueError, match="takes a time in UTC"):
        Decision(decision_rule(), None, "2026-01-31T12:00:00+02:00", 6, "", decision_figures())


def test_what_was_found_with_a_mean_stays_with_its_members(tmp_path):
    mean, members = tmp_path / "mean", [Member("a", 6, "5e"), Member("b", 4, "f3")]
    write_members(mean, members)
    write_decision(mean, decision_rule(), decision_figures(), step=10, data=FACTS.fingerprint)
    evaluation = mean / "evaluation.json"
    evaluation.touch()
    write_members(mean, members)
    assert current_decision(mean, 10, FACTS) is not None
    assert evaluation.exists()
    write_members(mean, [members[0], Member("c", 4, "a1")])  # of the same number of steps
    assert current_decision(mean, 10, FACTS) is None
    assert not evaluation.exists()
    write_decision(mean, decision_rule(), decision_figures(), step=10, data=FACTS.fingerprint)
    (mean / "members.json").write_text("[")
    write_members(mean, members)
    assert current_decision(mean, 10, FACTS) is None
