"""A run directory in a bucket: what the project itself reads and writes there; orbax has ways of its own."""

from pathlib import Path

import fsspec
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem

from train import configfile
from train.data.facts import DataFacts
from train.paths import absolute
from train.run import directory
from train.run.files import read_rows, write_rows
from train.run.log import LogFile, log, log_to

FACTS = DataFacts(("background", "pit"), 1, 16, 8, "f00d")
CONFIG = """
import dataclasses
from tests.tiny import config as tiny
from train.config import Term

def of_my_own(logits, labels, *, weights=None):
    return weights

config = dataclasses.replace(tiny, objective={"mine": Term(of_my_own)})
"""


class Bucket(MemoryFileSystem):
    """A bucket that is gone with the process; like a real one it appends to nothing and locks nothing."""

    protocol = "s3"

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("s3://").strip("/")

    def _open(self, path, mode="rb", block_size=None, autocommit=True, cache_options=None, **kwargs):
        assert "a" not in mode
        return super()._open(path, mode, block_size, autocommit, cache_options, **kwargs)


@pytest.fixture
def run():
    fsspec.register_implementation("s3", Bucket, clobber=True)
    Bucket.store.clear()
    return epath.Path("s3://bucket/runs/one")


def test_what_a_run_is_comes_back_from_a_bucket(run, tmp_path):
    file = tmp_path / "config.py"
    file.write_text(CONFIG)
    mine = configfile.ConfigFile(file, None).load()
    expected = configfile.to_json(mine)
    for begun in ("begun", "gone on with"):
        with directory.claim(run), log_to(LogFile(run / "log.txt")):
            assert directory.begin_or_resume(run, mine, file, FACTS) == []
            log.info(begun)
    config, facts = directory.read_run(run)  # its loss is taken from the file in the bucket
    assert (configfile.to_json(config), facts) == (expected, FACTS)
    said = [line.split(" ", 2)[2] for line in (run / "log.txt").read_text().splitlines()]
    assert said == ["begun", "gone on with"]


def test_an_address_is_no_path_from_here(run):
    assert absolute(run / "start") == epath.Path("s3://bucket/runs/one/start")
    assert str(absolute(epath.Path("runs"))) == str(Path("runs").absolute())


def test_lines_of_figures_are_replaced_whole(run):
    rows = [FACTS, FACTS]
    for length in (2, 1):
        write_rows(run / "metrics.jsonl", rows[:length])
        assert read_rows(run / "metrics.jsonl", DataFacts) == rows[:length]
    assert [path.name for path in run.iterdir()] == ["metrics.jsonl"]
