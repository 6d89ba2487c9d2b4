"""The flags of `compare`, and the commands of the site for many machines; training is stubbed."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tiny import TINY
from tests.train.commands.compare.made_up import CELLS
from train import configfile
from train.__main__ import main
from train.commands.fit import Fit
from train.errors import NonFinite

PAGE = Path(__file__).parents[4] / "docs/howto/compare.md"


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


def test_the_sites_array_of_a_cluster_runs_each_cell(tmp_path):
    [line] = [line for line in PAGE.read_text().splitlines() if line.startswith("sbatch ")]
    wrapped = shlex.split(line)[-1]
    (tmp_path / "cells.txt").write_text("echo 'first cell'\necho 'second cell'\n")
    for number, said in (("1", "first cell\n"), ("2", "second cell\n")):
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": number}
        command = ["sh", "-c", wrapped]
        assert subprocess.check_output(command, cwd=tmp_path, env=environment, text=True) == said


@pytest.mark.skipif(shutil.which("parallel") is None, reason="needs GNU parallel")
def test_the_sites_command_for_gnu_parallel_runs_each_cell(tmp_path):
    [line] = [line for line in PAGE.read_text().splitlines() if line.startswith("parallel ")]
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
