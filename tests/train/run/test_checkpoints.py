"""Checkpoints: the latest and the best, and nothing else."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.errors import UserError
from train.run.checkpoints import Checkpoints, put_back
from train.run.log import log


def state(value: float):
    return {"params": {"w": jnp.full((2, 3), value)}, "step": jnp.int32(value)}


def test_the_latest_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step, figure in enumerate([0.1, 0.7, None, 0.3], start=1):
        checkpoints.save(step, state(step), figure)
    for again in (checkpoints, Checkpoints(tmp_path)):
        assert (again.latest(), again.step_of("best")) == (4, 2)
        for step in (2, 4):
            restored = again.restore(step, like=jax.eval_shape(lambda: state(0)))
            np.testing.assert_array_equal(restored["params"]["w"], np.full((2, 3), step, np.float32))
            assert restored["step"] == step
    assert {path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()} == {"2", "4"}


def test_a_full_disk_leaves_the_earlier_states_whole(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1), 0.5)
    paths = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    free = shutil.disk_usage(tmp_path)._replace(free=4096)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: free)
        with pytest.raises(UserError, match=r"No space left on device.*make room"):
            checkpoints.save(2, state(2), 0.7)
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} == paths
    for again in (checkpoints, Checkpoints(tmp_path)):
        assert (again.latest(), again.step_of("best")) == (1, 1)
    checkpoints.save(2, state(2), 0.7)
    assert checkpoints.latest() == 2


def test_a_run_without_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="no checkpoint yet"):
        Checkpoints(tmp_path).step_of("best")


def arrays() -> dict:
    return {"params": {"w": jax.random.normal(jax.random.key(0), (40, 50))}, "step": jnp.int32(2)}


@pytest.fixture
def two(tmp_path):
    """Checkpoints of step 1, the best, and step 2, the latest."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, arrays(), 0.5)
    checkpoints.save(2, arrays(), 0.25, [{"a": 0.125}])
    return tmp_path


def restored(run_dir, step=2):
    """The state of a step as bytes, with its other values; or the message of its refusal."""
    try:
        checkpoints = Checkpoints(run_dir)
        steps = checkpoints.step_of("best"), checkpoints.step_of("latest")
        tree = checkpoints.restore(step, like=jax.eval_shape(arrays))
        return (
            [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)],
            checkpoints.partial_epoch(step),
            steps,
        )
    except UserError as error:
        return str(error)


def test_a_damaged_checkpoint_is_refused_and_the_whole_one_offered(two):
    latest = two / "checkpoints" / "2"
    metadata = latest / "_CHECKPOINT_METADATA"
    content = json.loads(metadata.read_text())
    content["custom_metadata"]["partial_epoch"] = []
    metadata.write_text(json.dumps(content))
    message = restored(two)
    assert message == (
        f"{latest}: is damaged (its content has changed since it was written); remove this folder, and the "
        "checkpoint of step 1, which is whole, is taken"
    )
    shutil.rmtree(latest)
    assert restored(two, 1)[2] == (1, 1)
    for path in (two / "checkpoints" / "1").rglob("*"):
        if path.is_file() and "metrics" not in path.parts:
            path.write_bytes(b"")
    assert "is damaged" in restored(two, 1)
    assert "bring it back from a copy, or train anew" in restored(two, 1)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"monitored": null}', '{"monitored": 0.125}'])
def test_a_lost_figure_does_not_make_another_checkpoint_the_best(two, content):
    file = two / "checkpoints" / "1" / "metrics" / "metrics"
    file.unlink()
    if content is not None:
        file.write_text(content)
    message = restored(two, 1)
    assert (
        f"{two / 'checkpoints' / '1'}: has lost the figure that the best checkpoint is chosen by" in message
    )
    assert "remove this folder, and go on from step 2" in message


def test_a_checkpoint_of_an_earlier_version_is_read_with_a_note(two, caplog):
    metadata = two / "checkpoints" / "2" / "_CHECKPOINT_METADATA"
    content = json.loads(metadata.read_text())
    del content["custom_metadata"]["digest"], content["custom_metadata"]["monitored"]
    metadata.write_text(json.dumps(content))
    log.addHandler(caplog.handler)
    assert restored(two)[2] == (1, 2)
    log.removeHandler(caplog.handler)
    assert "without a digest" in caplog.text


def test_what_a_kill_leaves_of_a_deleted_checkpoint_is_removed(two):
    left = two / "checkpoints" / "deleted" / "0"
    left.mkdir(parents=True)
    assert restored(two)[2] == (1, 2)  # another process may be about to delete it
    assert left.exists()
    Checkpoints(two, claimed=True)
    assert not list(left.parent.iterdir())


def test_what_a_kill_leaves_half_written_is_removed_by_the_run_alone(two):
    left = two / "checkpoints" / "3.orbax-checkpoint-tmp"
    (left / "default").mkdir(parents=True)
    assert restored(two)[2] == (1, 2)  # another process may be writing
    assert left.exists()
    claimed = Checkpoints(two, claimed=True)
    assert claimed.latest() == 2
    claimed.save(4, arrays(), 0.25)  # orbax removes in the background, until the next state is written
    assert not left.exists()
    assert restored(two, 4)[2] == (1, 4)


def test_a_kill_while_a_state_is_stored_again_with_its_figure_does_not_lose_it(two, monkeypatch):
    checkpoints = Checkpoints(two, claimed=True)
    checkpoints.save(3, arrays(), None, [{"a": 0.5}])

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints._manager, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(3, arrays(), 0.25)
    assert Checkpoints(two).latest() == 1
    put_back(two)
    again = Checkpoints(two, claimed=True)
    assert (again.latest(), again.partial_epoch(3)) == (3, [{"a": 0.5}])
    put_back(two)  # nothing is left to be put back
    assert restored(two, 3)[2] == (1, 3)


def test_a_state_without_its_figure_is_replaced(two):
    checkpoints = Checkpoints(two)
    checkpoints.save(3, arrays(), None, [{"a": 0.5}])
    assert checkpoints.partial_epoch(3) == [{"a": 0.5}]
    checkpoints.save(3, arrays(), 0.75)
    for again in (checkpoints, Checkpoints(two)):
        assert (again.latest(), again.step_of("best"), again.partial_epoch(3)) == (3, 3, [])
