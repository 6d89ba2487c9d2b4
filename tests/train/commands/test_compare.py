"""`compare`: done cells are kept, failures are named, other processes are left alone; training is stubbed."""

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from balanced_jax.metrics import ConfusionCounts
from balanced_jax.models import UNet
from tests.tiny import TINY
from tests.train.records import epoch_record, evaluation
from train import configfile
from train.__main__ import main
from train.commands.compare import Compare
from train.commands.fit import Fit
from train.comparison.definition import cells
from train.config import Input
from train.configfile import ConfigFile
from train.data.facts import DataFacts
from train.data.sets import Generated
from train.errors import Interrupted, NonFinite
from train.run import directory
from train.run.files import write_json, write_rows
from train.run.lock import locked
from train.run.results import ImageCounts, write_image_counts, write_label_map

ROOT = Path(__file__).parents[3]
PAPER = ConfigFile(ROOT / "configs/paper.py", None).named("comparison")
CELLS = ["cross_entropy-seed_0", "both-seed_0", "cross_entropy-seed_1", "both-seed_1"]
CLASSES = ("background", "scratch", "spot", "pit")
FACTS = DataFacts(CLASSES, 1, 16, 8, "abc")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def compare(tmp_path, prepared):
    """Return a function that compares in a folder of this test, and returns the exit code."""

    def run(*flags: str) -> int:
        places = ["--out", str(tmp_path / "out"), "--data-dir", str(prepared)]
        return main(["compare", str(TINY), *places, *flags])

    return run


@pytest.fixture
def trained(monkeypatch):
    """Stub training: cells write made-up results or raise these errors."""
    names: list[str] = []
    errors: dict[str, Exception] = {}

    def fit(self: Fit) -> None:
        assert self.run_dir is not None
        names.append(self.run_dir.name)
        with directory.claim(self.run_dir):
            if error := errors.get(self.run_dir.name):
                raise error
            finish(self)

    monkeypatch.setattr(Fit, "run", fit)
    return names, errors


def finish(fit: Fit) -> None:
    run_dir, config = fit.run_dir, fit.config
    assert run_dir is not None
    if not directory.is_run(run_dir):
        directory.begin_or_resume(run_dir, config, fit.config_file.path, FACTS)
    write_rows(run_dir / "metrics.jsonl", [epoch_record(i + 1, CLASSES) for i in range(config.epochs)])
    better = 40 * (len(config.objective) - 1) + config.seed  # the objective of two terms is better
    values = np.random.default_rng(0).integers(10, 50, (3, 8, len(CLASSES)))
    counts = ConfusionCounts(values[0] + better, values[1], values[2])
    names = tuple(f"test/{i:05}" for i in range(8))
    write_image_counts(run_dir, ImageCounts(names, names, CLASSES, counts, counts))
    write_label_map(run_dir, 0, np.full((32, 32), len(config.objective), np.uint8))
    write_json(run_dir / "evaluation.json", evaluation(CLASSES, step=30 * config.epochs))


def states(out) -> dict[str, str]:
    record = json.loads((out / "comparison.json").read_text())
    return {cell["name"]: cell["state"] for cell in record["cells"]}


def test_cells_are_trained_once_and_compared(compare, trained, tmp_path, capsys):
    names, _ = trained
    assert compare() == 0
    out = tmp_path / "out"
    assert names == CELLS
    assert {path.name for path in out.iterdir()} == {
        *CELLS, ".lock", "comparison.json", "comparison.csv", "comparison.md", "comparison.html",
    }  # fmt: skip
    assert "cell 4 of 4: both-seed_1" in capsys.readouterr().out
    record = json.loads((out / "comparison.json").read_text())
    assert record["axes"] == {"objective": ["cross_entropy", "both"], "seed": ["0", "1"]}
    assert [row["name"] for row in record["rows"]] == ["cross_entropy", "both"]
    difference = record["rows"][1]["most_probable"]["difference"]
    assert difference["seeds"] == 2
    assert 0 < difference["interval"][0] < difference["mean"] < difference["interval"][1]
    assert record["rows"][0]["most_probable"]["difference"] is None
    assert record["cells"][0]["started"].endswith("+00:00")
    assert "data:image/png" in (out / "comparison.html").read_text()
    before = (out / "comparison.html").read_text()
    assert compare() == 0
    assert names == CELLS  # nothing is trained again
    assert (out / "comparison.html").read_text() == before


@pytest.mark.slow
def test_more_seeds_and_other_axes_are_added_to_what_is_there(compare, trained, tmp_path):
    names, _ = trained
    assert compare("--seeds", "0") == 0
    assert compare("--seeds", "0", "2") == 0
    assert names == [*CELLS[:2], "cross_entropy-seed_2", "both-seed_2"]
    flags = ("--objectives", "both", "--models", "UNet", "--vary", "optimizer.weight_decay", "1e-6", "0.001")
    assert compare("--seeds", "0", *flags) == 0
    assert names[4:] == ["both-UNet-weight_decay_1e_06-seed_0", "both-UNet-weight_decay_0.001-seed_0"]


def test_a_cell_that_fails_is_named_and_the_others_go_on(compare, trained, tmp_path, capsys):
    names, errors = trained
    errors[CELLS[0]] = NonFinite("the loss is\nnot finite")
    errors[CELLS[2]] = RuntimeError("out of memory")
    assert compare() == 2
    assert names == CELLS
    out = tmp_path / "out"
    assert states(out) == dict(zip(CELLS, ("failed", "done", "failed", "done"), strict=True))
    assert f"2 of 4 cells failed ({CELLS[0]}, {CELLS[2]}); the same command tries" in capsys.readouterr().err
    record = json.loads((out / "comparison.json").read_text())
    assert record["cells"][0]["error"] == "the loss is not finite"
    assert "RuntimeError: out of memory" in record["cells"][2]["error"]
    assert "Traceback" in (out / CELLS[2] / "error.txt").read_text()
    errors.clear()
    assert compare() == 0
    assert names[4:] == [CELLS[0], CELLS[2]]
    assert set(states(out).values()) == {"done"}


def test_an_interrupted_comparison_goes_on(compare, trained, tmp_path):
    names, errors = trained
    errors[CELLS[1]] = Interrupted("stopped")
    assert compare() == 143
    assert states(tmp_path / "out") == dict(zip(CELLS, ("done", "open", "open", "open"), strict=True))
    errors.clear()
    assert compare() == 0
    assert names == [*CELLS[:2], *CELLS[1:]]


def test_a_cell_of_another_process_is_left_to_it(compare, trained, tmp_path):
    names, _ = trained
    out = tmp_path / "out"
    with locked(out / CELLS[1], wait=False):
        assert compare() == 0
    assert states(out)[CELLS[1]] == "open"  # its process has not written a config yet
    assert names == CELLS  # tried, and left
    assert compare() == 0
    assert set(states(out).values()) == {"done"}


def test_what_other_processes_do_meanwhile_is_seen(compare, trained, monkeypatch, tmp_path):
    names, _ = trained
    out, stub = tmp_path / "out", Fit.run

    def fit(self: Fit) -> None:
        stub(self)
        if names == CELLS[:1]:  # two processes: one finishes the next cell, one works on the cell after that
            assert compare("--objectives", "both", "--seeds", "0") == 0
            assert compare("--seeds", "1", "--objectives", "cross_entropy", "--commands") == 0
            other.enter_context(locked(out / CELLS[2], wait=False))

    monkeypatch.setattr(Fit, "run", fit)
    with contextlib.ExitStack() as other:
        assert compare() == 0
        assert states(out) == dict(zip(CELLS, ("done", "done", "running", "done"), strict=True))
    assert names == CELLS  # the cell of the other process was tried, and left


def test_commands_train_the_cells_elsewhere_and_the_same_comparison_collects_them(
    compare, trained, tmp_path, capsys
):
    names, _ = trained
    assert compare("--seeds", "0", "--commands") == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines() if " fit " in line]
    assert [line[:4] for line in lines] == [[sys.executable, "-m", "train", "fit"]] * 2
    assert names == []
    for line in lines:
        assert main(line[3:]) == 0
    assert names == CELLS[:2]
    assert compare("--seeds", "0") == 0
    assert names == CELLS[:2]
    assert set(states(tmp_path / "out").values()) == {"done"}


def test_kept_results_are_done_cells(compare, trained, tmp_path):
    names, _ = trained
    evidence = ("--evidence", str(tmp_path / "kept"))
    assert compare("--seeds", "0", *evidence) == 0
    assert (tmp_path / "kept/comparison.md").read_text() == (tmp_path / "out/comparison.md").read_text()
    kept = {path.name for path in (tmp_path / "kept" / CELLS[0]).iterdir()}
    assert kept == {"config.json", "metrics.jsonl", "evaluation.json", "image_counts.csv", "label_maps"}
    for run in (tmp_path / "out").iterdir():
        run.rename(tmp_path / f"moved {run.name}")
    assert compare(*evidence) == 0
    assert names == CELLS  # those of seed 1 alone were trained anew
    assert set(states(tmp_path / "out").values()) == {"done"}


def test_an_evaluation_of_another_part_is_made_again(compare, trained, tmp_path):
    names, _ = trained
    assert compare("--seeds", "0") == 0
    write_json(tmp_path / "out" / CELLS[0] / "evaluation.json", evaluation(CLASSES, part="validation"))
    assert compare("--seeds", "0") == 0
    assert names == [*CELLS[:2], CELLS[0]]


def test_a_folder_of_another_comparison_is_refused(compare, trained, capsys):
    assert compare("--seeds", "0") == 0
    assert compare("--seeds", "0", "--batch-size", "16") == 2
    assert "belongs to another config (batch_size: 8 -> 16); give another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--objectives", "dise"), "--objectives: there is no dise; there are"),
        (("--models", "UNets"), "--models: there is no UNets; did you mean UNet?"),
        (("--vary", "epochs", "0"), "cross_entropy-epochs_0-seed_0: epochs: is 0, takes at least 1"),
        (("--batch-size", "99"), "cross_entropy-seed_0: batch_size: 99 images cannot"),
        (("--reference", "paper"), "reference: no objective has the name paper"),
        (("--seeds", "-1"), "cross_entropy-seed__1: seed: is -1, takes at least 0"),
        (("--vary", "epochs"), "--vary epochs: takes a field of the config and its values"),
        (("--vary",), "--vary : takes a field of the config and its values"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_cell(compare, trained, capsys, flags, message):
    names, _ = trained
    assert compare(*flags) == 2
    assert message in capsys.readouterr().err
    assert names == []


def test_a_file_without_a_comparison_takes_its_axes_from_flags(compare, trained, tmp_path, prepared):
    names, _ = trained
    file = tmp_path / "mine.py"
    file.write_text("from tests.tiny import config, configs\n")
    places = ["--out", str(tmp_path / "out"), "--data-dir", str(prepared)]
    assert main(["compare", str(file), *places, "--objectives", "segnet", "--seeds", "4"]) == 0
    assert names == ["segnet-seed_4"]


def test_the_run_directory_stands_for_the_config_of_its_run(compare, trained, tmp_path):
    assert compare("--seeds", "0", "--commands") == 0
    run_dir = tmp_path / "out" / CELLS[1]
    command = Fit.parse("fit", [str(run_dir)])
    stored = json.loads((run_dir / "config.json").read_text())["config"]
    assert configfile.to_json(command.config) == stored
    assert command.run_dir == run_dir


def ends(levels):
    """The first and the last level of an axis."""
    if not isinstance(levels, Mapping):
        return (levels[0], levels[-1])
    names = list(levels)
    return {name: levels[name] for name in {*names[:1], *names[-1:]}}


def test_the_ends_of_the_papers_grids_are_cross_entropy_and_no_class_weights():
    for table in ("table_4", "table_6"):
        [*_, cell] = [c for c in cells(PAPER[table]) if c.levels["beta"] == "0.0"]
        term = cell.config.objective["balanced"]
        assert cell.levels["delta"] == "0.5"
        assert (term.options["eps_inf"], term.options["eps_sup"]) == (0, 1)
        assert term.weights_options == {"beta": 0, "window": 7}
        assert len(PAPER[table].published) == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_a_comparison_of_the_paper_reaches_its_page(name, trained, tmp_path, prepared):
    names, _ = trained
    comparison = PAPER[name]
    base = dataclasses.replace(
        comparison.base,
        data=Generated(train=16, validation=4, test=8, size=32, seed=1),  # shows every class
        model=UNet(width=2),
        input=Input(crop=(32, 32)),
        batch_size=8,
        epochs=2,
    )
    comparison = dataclasses.replace(
        comparison,
        base=base,
        models=ends(comparison.models),
        vary={axis: ends(levels) for axis, levels in comparison.vary.items()},
    )
    compare = Compare(
        config=base,
        config_file=ConfigFile(ROOT / "configs/paper.py", name),
        comparison=comparison,
        data_dir=prepared,
        out=epath.Path(tmp_path),
    )
    compare.run()
    assert names == [cell.name for cell in cells(comparison)]
    page = (tmp_path / "comparison.html").read_text()
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert {cell["state"] for cell in record["cells"]} == {"done"}
    assert all(row["name"] in page for row in record["rows"])
    published = {row["name"]: row["published"] for row in record["rows"] if row["published"] is not None}
    assert published.items() <= comparison.published.items()
    assert len(published) == (len(names) if comparison.published else 0)


def test_the_readmes_array_of_a_cluster_runs_each_cell(tmp_path):
    [line] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("sbatch ")]
    wrapped = shlex.split(line)[-1]
    (tmp_path / "cells.txt").write_text("echo 'first cell'\necho 'second cell'\n")
    for number, said in (("1", "first cell\n"), ("2", "second cell\n")):
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": number}
        command = ["sh", "-c", wrapped]
        assert subprocess.check_output(command, cwd=tmp_path, env=environment, text=True) == said


@pytest.mark.skipif(shutil.which("parallel") is None, reason="needs GNU parallel")
def test_the_readmes_command_for_gnu_parallel_runs_each_cell(tmp_path):
    [line] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("parallel ")]
    (tmp_path / "cells.txt").write_text("echo 'first cell'\necho 'second cell'\n")
    printed = subprocess.check_output(line, shell=True, cwd=tmp_path, text=True)
    assert sorted(printed.splitlines()) == ["first cell", "second cell"]


def test_a_field_that_is_varied_twice_has_all_values(compare, trained):
    names, _ = trained
    fields = ("--objectives", "both", "--vary", "data.seed", "1", "--vary", "data.seed", "2", "--seeds", "0")
    assert compare(*fields) == 0
    assert names == ["both-data.seed_1-seed_0", "both-data.seed_2-seed_0"]


def test_a_named_config_of_a_file_with_a_comparison_is_compared(trained, tmp_path, prepared):
    names, _ = trained
    places = ["--out", str(tmp_path / "out"), "--data-dir", str(prepared)]
    assert main(["compare", f"{TINY}:segnet", *places]) == 0
    assert names == ["seed_0"]


OWN_LOSS = """
import dataclasses
from balanced_jax.losses import softmax_cross_entropy
from tests.tiny import config as tiny
from train.comparison.definition import Comparison
from train.config import Term

def own_loss(logits, labels, *, weights=None):
    return softmax_cross_entropy(logits, labels, weights=weights)

config = dataclasses.replace(tiny, objective={"own": Term(own_loss)})
comparison = Comparison(config, seeds=(0, 1))
"""


def test_a_comparison_with_an_own_loss_goes_on(trained, tmp_path, prepared):
    names, errors = trained
    file = tmp_path / "mine.py"
    file.write_text(OWN_LOSS)
    command = ["compare", str(file), "--out", str(tmp_path / "out"), "--data-dir", str(prepared)]
    errors["seed_1"] = NonFinite("not finite")
    assert main([*command, "--commands"]) == 0
    assert main(command) == 2
    errors.clear()
    assert main(command) == 0
    assert names == ["seed_0", "seed_1", "seed_1"]


@pytest.mark.parametrize("command", ["compare", "curves", "fit"])
def test_help_needs_no_config(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"python -m train {command} CONFIG --help" in capsys.readouterr().out
