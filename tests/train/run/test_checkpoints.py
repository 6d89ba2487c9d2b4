"""Checkpoints: the latest and the best, and nothing else."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.errors import UserError
from train.run.checkpoints import Checkpoints


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
