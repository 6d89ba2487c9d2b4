"""Comparisons that are trained: killed and taken up again, and by several processes at once."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.runs import wait_until
from tests.tiny import TINY

ROOT = Path(__file__).parents[2]
CELLS = ["cross_entropy-seed_0", "both-seed_0"]


def compare(out: Path, prepared: Path, *flags: str) -> list[str]:
    places = ["--out", str(out), "--data-dir", str(prepared), "--seeds", "0", "--epochs", "2"]
    return [sys.executable, "-m", "train", "compare", str(TINY), *places, *flags]


def results(out: Path) -> dict[str, str]:
    return {cell: (out / cell / "image_counts.csv").read_text() for cell in CELLS}


def states(out: Path) -> list[str]:
    return [cell["state"] for cell in json.loads((out / "comparison.json").read_text())["cells"]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory, prepared):
    """A comparison that nothing disturbed."""
    out = tmp_path_factory.mktemp("compared") / "out"
    subprocess.run(compare(out, prepared), cwd=ROOT, check=True, timeout=600)
    return out


@pytest.mark.slow
def test_a_killed_comparison_goes_on_where_it_was(compared, prepared, tmp_path):
    with subprocess.Popen(compare(tmp_path, prepared), cwd=ROOT) as process:
        wait_until(lambda: (tmp_path / CELLS[1] / "metrics.jsonl").exists())
        process.send_signal(signal.SIGKILL)
    assert states(tmp_path) == ["done", "open"]
    first = (tmp_path / CELLS[0] / "evaluation.json").stat().st_mtime_ns
    subprocess.run(compare(tmp_path, prepared), cwd=ROOT, check=True, timeout=600)
    assert states(tmp_path) == ["done", "done"]
    assert (tmp_path / CELLS[0] / "evaluation.json").stat().st_mtime_ns == first
    assert results(tmp_path) == results(compared)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "GNU parallel"])
def test_cells_of_several_processes_are_collected(engine, compared, prepared, tmp_path):
    if engine == "GNU parallel" and shutil.which("parallel") is None:
        pytest.skip("needs GNU parallel")
    printed = subprocess.run(
        compare(tmp_path, prepared, "--commands"), cwd=ROOT, check=True, timeout=600, stdout=subprocess.PIPE
    ).stdout.decode()
    lines = printed.splitlines()
    assert len(lines) == len(CELLS)
    if engine == "GNU parallel":  # as in docs/howto/compare.md
        parallel = ["parallel", "--jobs", "2"]
        subprocess.run(parallel, input=printed.encode(), cwd=ROOT, check=True, timeout=600)
    else:
        processes = [subprocess.Popen(shlex.split(line), cwd=ROOT) for line in lines]
        assert [process.wait(timeout=600) for process in processes] == [0, 0]
    subprocess.run(compare(tmp_path, prepared), cwd=ROOT, check=True, timeout=600)
    assert states(tmp_path) == ["done", "done"]
    assert results(tmp_path) == results(compared)
