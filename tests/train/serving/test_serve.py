"""`python -m train serve` as a process: its address, its package, its end."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest
from etils import epath

from tests.train.commands.refusal import refused
from tests.untrained import make_run
from train.commands.evaluate import Evaluate
from train.commands.serve import Serve
from train.errors import UserError
from train.inference.trained import load_trained
from train.run.checkpoints import Checkpoints

ROOT = Path(__file__).parents[3]
_SECONDS = 120
"""Deadline of a start."""


def test_a_missing_package_is_named(served_run, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "needs the package aiohttp; pip install '.[serve]'" in refused("serve", [served_run[0]], capsys)


@pytest.mark.slow
def test_control_c_ends_the_page(served_run):
    run_dir, data_dir = served_run
    command = [sys.executable, "-u", "-m", "train", "serve", str(run_dir), "--data-dir", str(data_dir)]
    environment = os.environ | {"XLA_FLAGS": ""}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = []
            deadline = time.monotonic() + _SECONDS
            while not any(line.startswith("open ") for line in lines) and time.monotonic() < deadline:
                lines.append(process.stdout.readline())
            address = re.search(r"http://(127\.0\.0\.1:\d+)(/\?token=\S+)", lines[-1])
            assert address is not None, lines
            connection = http.client.HTTPConnection(address[1], timeout=_SECONDS)
            connection.request("GET", address[2])
            assert connection.getresponse().status == 200  # and the connection stays open
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=_SECONDS) == 130
            connection.close()
            assert process.stderr.read().count("\n") == 1
        finally:
            process.kill()


@pytest.mark.slow
def test_the_mean_of_two_runs_is_served(served_run, tmp_path):
    run_dir, data_dir = served_run
    trained = load_trained(run_dir, "best")
    make_run(tmp_path / "other", trained.experiment)
    mean = tmp_path / "mean"
    runs = [epath.Path(run_dir), epath.Path(tmp_path / "other")]
    Evaluate(run_dir=runs[0], others=(runs[1],), out=mean, data_dir=data_dir).run()
    session = Serve(run_dir=epath.Path(mean), data_dir=data_dir).session()
    session.save(session.automatic, None, None)
    decision = session.standing().decision
    assert decision is not None
    assert decision.rule == session.automatic
    Checkpoints(tmp_path / "other").save(2, jax.device_get(trained.experiment.random_state()), 0.9)
    with pytest.raises(UserError, match="this run was trained further since; start serve again"):
        session.save(session.automatic, None, session.standing().digest)
    assert list(session.parts) == ["validation"]
