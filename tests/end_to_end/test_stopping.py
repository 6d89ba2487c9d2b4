"""Runs that are stopped, killed or not finite, and go on."""

import contextlib
import itertools
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import train.commands.fit
from tests.end_to_end.runs import command, rows, wait_until
from train.__main__ import main
from train.run.checkpoints import Checkpoints
from train.run.interrupt import Interruption

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 6])
def test_a_run_that_was_asked_to_stop_ends_as_if_nothing_had_been(
    step, run, prepared, tmp_path, monkeypatch, capsys
):
    again = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop = Interruption(lambda taken: taken == step, lambda: False)
        patch.setattr(train.commands.fit, "interruption", lambda: contextlib.nullcontext(stop))
        assert main(command(again, prepared)) == 143
    assert f"stopped after step {step} of 6; the same command goes on" in capsys.readouterr().err
    assert main(command(again, prepared)) == 0
    assert rows(again) == rows(run)
    assert (again / "evaluation.json").read_text() == (run / "evaluation.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("images", [1, 11])
def test_a_run_that_was_asked_to_stop_in_a_validation_validates_when_it_goes_on(
    images, run, prepared, tmp_path, monkeypatch, capsys
):
    again, validated = tmp_path / "stopped", itertools.count(1)
    with monkeypatch.context() as patch:
        stop = Interruption(lambda taken: False, lambda: next(validated) >= images)
        patch.setattr(train.commands.fit, "interruption", lambda: contextlib.nullcontext(stop))
        for _ in range(2):  # stopped in the same validation once more
            assert main(command(again, prepared)) == 143
            step = 2 * -(-images // 4)  # of four images each
            assert f"stopped after step {step} of 6; the same command goes on" in capsys.readouterr().err
            assert len(rows(again)) == step // 2 - 1
    assert main(command(again, prepared)) == 0
    assert rows(again) == rows(run)
    assert (again / "evaluation.json").read_text() == (run / "evaluation.json").read_text()


INJECTING = """
import dataclasses
from balanced_jax.losses import dice_loss
from balanced_jax.masks import inverse_weight_mask
from tests.tiny import config
from train.config import Sampling, Term

config = dataclasses.replace(
    config,
    objective={**config.objective, "dice": Term(dice_loss, precomputed=inverse_weight_mask)},
    sampling=Sampling(centered=0.5, inject=0.8),
)
"""


@pytest.mark.slow
def test_injected_defects_and_their_masks_are_the_same_after_a_stop_and_without_memory(
    run, prepared, tmp_path, monkeypatch
):
    (tmp_path / "injecting.py").write_text(INJECTING)
    fit = ["fit", str(tmp_path / "injecting.py"), "--data-dir", str(prepared), "--run-dir"]
    whole, again = ([*fit, str(tmp_path / name)] for name in "ab")
    assert main(whole) == 0
    with monkeypatch.context() as patch:
        stop = Interruption(lambda taken: taken == 3, lambda: False)
        patch.setattr(train.commands.fit, "interruption", lambda: contextlib.nullcontext(stop))
        assert main(again) == 143
    assert main([*again, "--memory", "0"]) == 0
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != rows(run)


@pytest.mark.slow
def test_sigterm_is_answered_between_steps_with_a_checkpoint(prepared, tmp_path):
    arguments = [sys.executable, "-m", "train", *command(tmp_path / "run", prepared, "--epochs", "1000")]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_until(lambda: (tmp_path / "run" / "metrics.jsonl").exists() or process.poll() is not None)
        process.terminate()
        _, error = process.communicate(timeout=120)
    assert process.returncode == 143
    done = Checkpoints(tmp_path / "run").latest()
    assert error.decode() == f"stopped after step {done} of 2000; the same command goes on from there\n"


@pytest.mark.slow
def test_a_killed_run_ends_as_if_nothing_had_been(run, prepared, tmp_path):
    again = tmp_path / "killed"
    arguments = [sys.executable, "-m", "train", *command(again, prepared)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        wait_until((again / "metrics.jsonl").exists)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert len(rows(again)) < 3
    assert not (again / "evaluation.json").exists()
    assert main(command(again, prepared)) == 0
    assert rows(again) == rows(run)
    assert (again / "evaluation.json").read_text() == (run / "evaluation.json").read_text()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_and_says_where(prepared, tmp_path, capsys):
    options = ["--optimizer.learning-rate.initial", "1e30"]
    assert main(command(tmp_path / "run", prepared, *options)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(
        r"error: stopped after step (\d) of 6: the loss \(balanced .*, dice .*is not finite", error
    )
    assert len(re.findall(r"train/\d{5}", error)) == 8  # the images of the batch
    checkpoints = Checkpoints(tmp_path / "run")
    done = checkpoints.latest()
    assert f"after step {done} of" in error
    assert main(command(tmp_path / "run", prepared, *options)) == 1  # the same step fails again
    assert capsys.readouterr().err == error
