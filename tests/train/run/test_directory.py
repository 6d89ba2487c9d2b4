"""Run directories: nothing half-written is believed, nothing foreign is gone on with."""

import dataclasses
import errno
import os
import subprocess
import sys

import pytest

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.models import UNet
from train.config import Config, Term
from train.data.sets import Generated
from train.errors import UserError
from train.run import directory as run_directory
from train.run.log import log
from train.training.experiment import Facts

CONFIG = Config(
    data=Generated(), model=UNet(width=4), objective={"ce": Term(softmax_cross_entropy)}, epochs=3
)
FACTS = Facts(("background", "defect"), 1, 10, 4, "abc")


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("config = ...")
    return path


def test_the_default_path_names_config_and_fields(tmp_path):
    path = run_directory.default_path(CONFIG, "mine")
    assert path.parts[0] == "runs"
    assert path.name.startswith("mine-")
    assert path != run_directory.default_path(dataclasses.replace(CONFIG, seed=1), "mine")


def test_a_run_is_found_again(tmp_path, config_file):
    assert run_directory.start_or_join(tmp_path, CONFIG, config_file, FACTS) == []
    assert run_directory.stored(tmp_path) == (CONFIG, FACTS)
    assert run_directory.start_or_join(tmp_path, CONFIG, config_file, FACTS) == []


def test_another_text_with_equal_fields_is_noted(tmp_path, config_file):
    run_directory.start_or_join(tmp_path, CONFIG, config_file, FACTS)
    config_file.write_text("# a remark\nconfig = ...")
    (note,) = run_directory.start_or_join(tmp_path, CONFIG, config_file, FACTS)
    assert "its text has changed" in note


@pytest.mark.parametrize(
    ("config", "facts", "message"),
    [
        (dataclasses.replace(CONFIG, epochs=4), FACTS, r"another config \(epochs: 3 -> 4\)"),
        (CONFIG, FACTS._replace(fingerprint="abd"), r"data has changed .*abc.*abd"),
    ],
)
def test_another_config_or_other_data_is_refused(tmp_path, config_file, config, facts, message):
    run_directory.start_or_join(tmp_path, CONFIG, config_file, FACTS)
    with pytest.raises(UserError, match=message):
        run_directory.start_or_join(tmp_path, config, config_file, facts)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        run_directory.stored(tmp_path)


def test_lines_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert run_directory.read_rows(path) == []
    for rows in ([{"step": 1}, {"step": 2, "loss": 0.1}], [{"step": 1}]):
        run_directory.write_rows(path, rows)
        assert run_directory.read_rows(path) == rows
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_at_work_is_refused_and_free_again_after_a_kill(tmp_path):
    hold = (
        "import sys, time; from pathlib import Path; from train.run.directory import claimed\n"
        "with claimed(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(UserError, match="another run is at work"), run_directory.claimed(tmp_path):
            pass
        other.kill()
        other.wait()
    with run_directory.claimed(tmp_path):
        pass


def test_where_there_are_no_locks_this_is_said_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("fcntl.flock", refuse)
    log.addHandler(caplog.handler)
    with run_directory.claimed(tmp_path):
        pass
    log.removeHandler(caplog.handler)
    assert f"{tmp_path}: cannot be locked (Operation not supported)" in caplog.text


def test_a_path_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"file/run: cannot be written"),
        run_directory.claimed(tmp_path / "file" / "run"),
    ):
        pass


def test_what_was_decided_is_taken_from_an_evaluation_of_the_same_checkpoint(tmp_path):
    assert run_directory.decided(tmp_path, 6) is None
    decided = {"thresholds": {"pit": 0.25}, "minimum_areas": {"pit": 3}}
    run_directory.write_json(tmp_path / "evaluation.json", {"step": 6, "decided": decided})
    assert run_directory.decided(tmp_path, 6) == decided
    assert run_directory.decided(tmp_path, 8) is None
