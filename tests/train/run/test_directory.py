"""Run directories: of one config, one data set, one format and one process."""

import dataclasses
import errno
import json
import os
import subprocess
import sys

import pytest

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.masks import fixed_class_weights
from balanced_jax.models import UNet
from tests.train.records import CLASSES, evaluation
from train.config import Config, ImageRatio, Term
from train.data.facts import DataFacts
from train.data.sets import Generated
from train.errors import UserError
from train.run import directory
from train.run.files import write_json
from train.run.log import log

CONFIG = Config(
    data=Generated(), model=UNet(width=4), objective={"ce": Term(softmax_cross_entropy)}, epochs=3
)
FACTS = DataFacts(("background", "defect"), 1, 10, 4, "abc")


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("config = ...")
    return path


def test_the_default_path_names_config_and_fields(tmp_path):
    path = directory.default_path(CONFIG, "mine")
    assert path.parts[0] == "runs"
    assert path.name.startswith("mine-")
    assert path != directory.default_path(dataclasses.replace(CONFIG, seed=1), "mine")


def test_a_run_is_found_again(tmp_path, config_file):
    assert directory.begin_or_resume(tmp_path, CONFIG, config_file, FACTS) == []
    assert directory.read_run(tmp_path) == (CONFIG, FACTS)
    assert directory.begin_or_resume(tmp_path, CONFIG, config_file, FACTS) == []


def test_counted_class_weights_stand_beside_the_config_as_it_was_written(tmp_path, config_file):
    weights = {"weights": fixed_class_weights, "weights_options": {"values": ImageRatio()}}
    config = dataclasses.replace(CONFIG, objective={"ce": Term(softmax_cross_entropy, **weights)})
    counted = {"ce.weights_options.values": (1.0, 1.5)}
    for _ in range(2):
        assert directory.begin_or_resume(tmp_path, config, config_file, FACTS, counted) == []
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["class_weights"] == {"ce.weights_options.values": [1.0, 1.5]}
    assert directory.read_run(tmp_path) == (config, FACTS)


def test_the_config_file_is_kept_as_it_was_if_there_is_one(tmp_path, config_file):
    text = b"# -*- coding: latin-1 -*-\r\n# \xfcber\r\nconfig = ..."
    config_file.write_bytes(text)
    for name in ("run", "other"):
        (tmp_path / name).mkdir()
    assert directory.begin_or_resume(tmp_path / "run", CONFIG, config_file, FACTS) == []
    assert (tmp_path / "run/config.py").read_bytes() == text
    assert directory.begin_or_resume(tmp_path / "run", CONFIG, config_file, FACTS) == []
    lost = tmp_path / "lost/config.py"  # of a run that begins another
    assert directory.begin_or_resume(tmp_path / "other", CONFIG, lost, FACTS) == []
    assert directory.read_run(tmp_path / "other") == (CONFIG, FACTS)


def test_another_text_with_equal_fields_is_noted(tmp_path, config_file):
    directory.begin_or_resume(tmp_path, CONFIG, config_file, FACTS)
    config_file.write_text("# a remark\nconfig = ...")
    (note,) = directory.begin_or_resume(tmp_path, CONFIG, config_file, FACTS)
    assert "its text has changed" in note


@pytest.mark.parametrize(
    ("config", "facts", "message"),
    [
        (dataclasses.replace(CONFIG, epochs=4), FACTS, r"another config \(epochs: 3 -> 4\)"),
        (CONFIG, dataclasses.replace(FACTS, fingerprint="abd"), r"data has changed .*abc.*abd"),
        (CONFIG, dataclasses.replace(FACTS, fingerprint="ab" * 32), r'"abc" -> "abababababab"\); bring'),
    ],
)
def test_another_config_or_other_data_is_refused(tmp_path, config_file, config, facts, message):
    directory.begin_or_resume(tmp_path, CONFIG, config_file, FACTS)
    with pytest.raises(UserError, match=message):
        directory.begin_or_resume(tmp_path, config, config_file, facts)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        directory.read_run(tmp_path)


@pytest.mark.parametrize(
    ("number", "message"),
    [(None, "an earlier version .format 1, this version reads 2."), (3, "a later version .format 3")],
)
def test_a_run_of_another_format_is_refused_in_one_line(tmp_path, config_file, number, message):
    directory.begin_or_resume(tmp_path, CONFIG, config_file, FACTS)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content.pop("format") == directory.FORMAT == 2
    (tmp_path / "config.json").write_text(
        json.dumps(content if number is None else content | {"format": number})
    )
    for read in (
        directory.read_run,
        lambda path: directory.begin_or_resume(path, CONFIG, config_file, FACTS),
    ):
        with pytest.raises(UserError, match=message):
            read(tmp_path)


def test_a_directory_at_work_is_refused_and_free_again_after_a_kill(tmp_path):
    hold = (
        "import sys, time; from pathlib import Path; from train.run.directory import claim\n"
        "with claim(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(UserError, match="another run is at work"), directory.claim(tmp_path):
            pass
        other.kill()
        other.wait()
    with directory.claim(tmp_path):
        pass


def test_where_there_are_no_locks_this_is_said_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("fcntl.flock", refuse)
    log.addHandler(caplog.handler)
    with directory.claim(tmp_path):
        pass
    log.removeHandler(caplog.handler)
    assert f"{tmp_path}: cannot be locked (Operation not supported)" in caplog.text


def test_a_path_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"file/run: cannot be written"),
        directory.claim(tmp_path / "file" / "run"),
    ):
        pass


def test_an_evaluation_is_read_for_the_same_checkpoint(tmp_path):
    assert directory.read_evaluation(tmp_path, 6, CLASSES) is None
    written = dataclasses.replace(evaluation(), step=6)
    write_json(tmp_path / "evaluation.json", written)
    assert directory.read_evaluation(tmp_path, 6, CLASSES) == written
    assert directory.read_evaluation(tmp_path, 8, CLASSES) is None
