"""`compare`: done cells are kept, failures are named, other processes are left alone; training is stubbed."""

import contextlib
import dataclasses
import json
import shlex
import sys

import pytest

from tests.tiny import DATA
from tests.train.commands.compare.made_up import CELLS, CLASSES, states
from tests.train.records import evaluation
from train.__main__ import main
from train.commands.fit import Fit
from train.data.prepare import prepare
from train.display.pages.frames import data_uri
from train.errors import Interrupted, NonFinite
from train.run.files import write_json
from train.run.lock import locked


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


def test_the_reference_is_trained_again_at_another_commit(compare, trained, tmp_path, monkeypatch):
    names, _ = trained
    kept, again = tmp_path / "kept", "cross_entropy-seed_0-at-bbbbbbbbbb"
    evidence = ("--evidence", str(kept))

    def remarks():
        return (kept / "comparison.md").read_text()

    monkeypatch.setattr("train.run.directory.current_commit", lambda: "a" * 40)
    assert compare("--objectives", "cross_entropy", *evidence) == 0
    assert compare("--objectives", "cross_entropy", "--repeat", *evidence) == 0  # nothing has changed
    monkeypatch.setattr("train.run.directory.current_commit", lambda: "b" * 40)
    assert compare(*evidence) == 0
    assert "of 2 commits: aaaaaaaaaa (2), bbbbbbbbbb (2)." in remarks()
    assert "Whether cells of bbbbbbbbbb can be compared with the others was not tried" in remarks()
    assert compare("--repeat", *evidence) == 0
    assert names[4:] == [again]
    assert compare("--repeat", *evidence) == 0
    assert compare(*evidence) == 0
    assert names[5:] == []
    assert "“cross_entropy-seed_0”, trained again at bbbbbbbbbb, has an equal evaluation." in remarks()
    assert "not tried" not in remarks()
    assert list(states(tmp_path / "out")) == CELLS
    assert (kept / again / "evaluation.json").is_file()

    record = json.loads((kept / again / "evaluation.json").read_text())
    record["headline"] += 0.01
    write_json(kept / again / "evaluation.json", record)
    assert compare(*evidence) == 0
    [repetition] = json.loads((tmp_path / "out/comparison.json").read_text())["repetitions"]
    assert not repetition["equal"]
    assert repetition["cell"]["iou"] == pytest.approx(repetition["first"] + 0.01)
    assert repetition["between_seeds"] == 0
    assert "instead of" in remarks()


def test_pictures_are_of_the_images_that_the_cells_have_seen(compare, trained, prepared, tmp_path):
    page, of_both = tmp_path / "out/comparison.html", ("--seeds", "0", "--objectives", "both")
    assert compare(*of_both, "--vary", "data.seed", "1") == 0
    seen = prepare(dataclasses.replace(DATA, seed=1), data_dir=prepared, source=None).parts["test"]
    assert data_uri(seen[0]["image"]) in page.read_text()
    assert compare(*of_both, "--vary", "data.seed", "1", "2") == 0
    assert "data:image/png" not in page.read_text()  # one image cannot stand for both


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
