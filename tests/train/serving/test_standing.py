"""Which rule is in use while the run directory changes: another checkpoint, another save, damage, removal."""

import json

import jax
import pytest
from etils import epath

from tests.train.serving.client import reset, save
from tests.train.serving.test_application import RULE, changed
from tests.untrained import make_run
from train import records
from train.commands.serve import Serve
from train.errors import UserError
from train.inference.trained import load_trained
from train.measures.records import DecisionRule
from train.run.checkpoints import Checkpoints

FURTHER = r"this run was trained further since; start serve again"


@pytest.fixture(scope="module")
def served_own(served_run, tmp_path_factory):
    """Return what a page of its own run shows, and its experiment."""
    experiment = load_trained(served_run[0], "best").experiment
    run_dir = tmp_path_factory.mktemp("own") / "run"
    make_run(run_dir, experiment)
    return Serve(run_dir=epath.Path(run_dir), data_dir=served_run[1]).session(), experiment


def rule():
    return records.from_json(RULE, DecisionRule)


def test_a_run_that_goes_and_comes_back_and_is_trained_further(served_own):
    session, experiment = served_own
    run_dir = session.run_dir
    away = run_dir.parent / "away"
    run_dir.rename(away)
    for act in (lambda: session.save(rule(), None, None), lambda: session.reset(None)):
        with pytest.raises(UserError, match=r"run: the run directory is gone; bring it back"):
            act()
    assert "is gone" in session.standing().other
    assert not run_dir.exists()
    away.rename(run_dir)
    session.save(rule(), None, None)
    standing = session.standing()
    assert standing.decision.rule == rule()
    # Another state of the same step, then one of a later step.
    for step, seed in ((1, 1), (2, 2)):
        state = jax.tree.map(lambda x, seed=seed: x + seed, jax.device_get(experiment.random_state()))
        Checkpoints(run_dir).save(step, state, 0.9)
        for act in (
            lambda: session.save(rule(), None, standing.digest),
            lambda: session.reset(standing.digest),
        ):
            with pytest.raises(UserError, match=FURTHER):
                act()
        now = session.standing()
        assert now.decision is None
        assert now.other.endswith(FURTHER)
    assert (run_dir / "decision.json").exists()


def test_the_second_of_two_tabs_does_not_overwrite(page, served_run):
    seen = page.get("/decision").json["digest"]
    assert seen is None
    first = save(page, RULE)
    for method, value in (("PUT", {"rule": changed(pit=0.7), "costs": None}), ("DELETE", {})):
        answer = page.give(method, "/decision", value | {"seen": seen})
        assert answer.status == 400
        assert answer.json["error"] == "the thresholds were changed elsewhere; reload the page"
    assert page.get("/decision").json == first
    reset(page)
    answer = page.give("PUT", "/decision", {"rule": RULE, "costs": None, "seen": first["digest"]})
    assert answer.status == 400
    assert not (served_run[0] / "decision.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'{"rule": 1}'])
def test_a_damaged_decision_is_said_and_replaced(page, served_run, content):
    file = served_run[0] / "decision.json"
    file.write_bytes(content)
    start = page.get("/start")
    assert start.status == 200
    assert start.json["standing"]["decision"] is None
    assert "decision.json" in start.json["standing"]["other"]
    assert save(page, RULE)["decision"]["rule"] == RULE
    assert json.loads(file.read_text())["rule"] == RULE
    file.write_bytes(content)
    reset(page)
    assert not file.exists()
