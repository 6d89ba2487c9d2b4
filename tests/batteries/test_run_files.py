"""Damaged files of a run: each command on it goes on as if nothing had been, or refuses it in one line."""

import hashlib
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from tests.batteries.answers import Accepted, Answer, answer, check_as_processes
from tests.tiny import TINY
from tests.tiny import config as tiny
from tests.train.records import decision_figures, decision_rule
from tests.train.run.test_damage import change
from train import configfile, records
from train.run import directory
from train.run.checkpoints import Checkpoints
from train.run.decision import write_decision
from train.training.experiment import Experiment
from train.training.initial import first_state

CASES = 100
FLIPS = 60
ALL = ("evaluate", "predict", "export", "fit", "init_from", "compare")
READ_BY = {
    "config.json": ALL,
    "config.py": ALL,
    "checkpoints/*/*": ALL[:5],
    "checkpoints/*/default/**/*": ALL[:5],
    "metrics.jsonl": ("evaluate", "fit", "compare"),
    "muting.json": ("evaluate", "fit"),
    "evaluation.json": ("predict", "export", "compare"),
    "decision.json": ("evaluate", "predict", "export"),
    "image_counts.csv": ("compare",),
    "label_maps/*": ("evaluate", "fit", "compare"),
    "log.txt": ("fit",),
    "report.html": ("evaluate",),
    "initial/**/*": ("begin",),
}
"""The commands that may read the files of a pattern; `begin` is `fit` on a run without a checkpoint."""
DAMAGE = ("missing", "empty", "cut off", "edited", "a folder", "no text")


@pytest.fixture
def place(run, prepared, tmp_path, monkeypatch):
    """A folder with a finished run, `run/seed_0`, and one that has only begun, from another's variables."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "run/seed_0")
    facts = directory.read_facts(run)
    rule, figures = decision_rule(facts.classes), decision_figures(facts.classes)
    evaluation = json.loads(Path("run/seed_0/evaluation.json").read_text())
    write_decision(Path("run/seed_0"), rule, figures, step=evaluation["step"], data=facts.fingerprint)
    config = tiny.__class__(**{**vars(tiny), "init_from": str(run)})
    Path("begun").mkdir()
    directory.begin_or_resume(Path("begun"), config, TINY, facts)
    first_state(Experiment(config, facts), Path("begun"))
    Path("base.py").write_text("from tests.tiny import config\n")
    Path("prepared").symlink_to(prepared)
    Image.new("L", (32, 32), 9).save("image.png")
    return tmp_path


@pytest.fixture
def seen(monkeypatch) -> list[str]:
    """What commands read, instead of the work that follows."""
    values: list[str] = []

    def accept(*_, **__):
        raise Accepted

    def spied(function: Callable, text: Callable[[Any], str] = repr) -> Callable:
        def spy(*arguments, **keywords):
            result = function(*arguments, **keywords)
            values.append(text(result))
            return result

        return spy

    for name in ("fit.train", "evaluate.classifier", "predict.Predictor", "export.to_stablehlo"):
        monkeypatch.setattr(f"train.commands.{name}", accept)
    monkeypatch.setattr(records, "from_json", spied(records.from_json))
    monkeypatch.setattr(configfile, "from_json", spied(configfile.from_json))
    monkeypatch.setattr(Checkpoints, "restore", spied(Checkpoints.restore, digest))
    monkeypatch.setattr("train.training.initial.state_from_variables", spied(lambda v, *_: v, digest))
    return values


def digest(tree: Any) -> str:
    """The arrays of a tree in a few characters."""
    return hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(tree))).hexdigest()


def command_line(name: str, out: Path) -> list[str]:
    """A command on the runs in `out`."""
    run = str(out / "seed_0")
    fit = ["fit", "--data-dir", "prepared"]
    return {
        "evaluate": ["evaluate", run, "--data-dir", "prepared"],
        "predict": ["predict", run, "image.png", "--decide", "--out", str(out / "predicted")],
        "export": ["export", run, "--no-onnx", "--out", str(out / "exported")],
        "fit": [fit[0], run, *fit[1:]],
        "init_from": [fit[0], "base.py", *fit[1:], "--init-from", run, "--run-dir", str(out / "new")],
        "compare": ["compare", "base.py", "--data-dir", "prepared", "--seeds", "0", "--out", str(out)],
        "begin": [fit[0], str(out / "begun"), *fit[1:]],
    }[name]


def damage(file: Path, how: str, chance: random.Random) -> None:
    """Damage a file."""
    content = file.read_bytes()
    match how:
        case "missing" | "a folder":
            file.unlink()
            if how == "a folder":
                file.mkdir()
        case "empty":
            file.write_bytes(b"")
        case "cut off":
            file.write_bytes(content[: chance.randrange(len(content) or 1)])
        case "no text":
            file.write_bytes(b"\xff\xfe\x00" + content)
        case "edited" if file.suffix in (".json", ".jsonl"):
            first, end, rest = content.partition(b"\n") if file.suffix == ".jsonl" else (content, b"", b"")
            value = json.loads(first)
            change(value, chance)
            file.write_bytes(json.dumps(value).encode() + end + rest)
        case "edited":
            position = chance.randrange(len(content) or 1)
            file.write_bytes(content[:position] + chance.randbytes(1) + content[position + 1 :])


def place_in_order(file: Path) -> tuple[str, int]:
    """A key to sort files by; orbax gives random names to those that hold arrays."""
    return str(file.parent if re.fullmatch("[0-9a-f]{32}", file.name) else file), file.stat().st_size


def case(run: Path, begun: Path, chance: random.Random) -> tuple[str, str, Path]:
    """Draw a command, a damage and a file, relative to the folder of the runs."""
    pattern, how = chance.choice(list(READ_BY)), chance.choice(DAMAGE)
    name = chance.choice(READ_BY[pattern])
    root = begun if pattern.startswith("initial") else run
    files = sorted((file for file in root.glob(pattern) if file.is_file()), key=place_in_order)
    return name, how, chance.choice(files).relative_to(root.parent)


def outcome(answered: Answer, read: list[str], whole: set[str], how: str, out: Path) -> str:
    if answered.kind == "carried out":
        if set(read) <= whole:
            return "right"
        return "read as edited" if how == "edited" else "wrong"
    return answered.kind if str(out) in answered.error else "wrong"


@pytest.mark.slow
def test_damaged_files_of_a_run(place, seen, capsys):
    counts, refused, wrong = Counter[str](), [], []
    shutil.copytree("begun", "run/begun")
    shutil.copytree("run", "whole")
    for name in (*ALL, "begin"):
        assert answer(command_line(name, Path("whole")), capsys).kind == "carried out", name
    whole = set(seen)
    for number in range(CASES):
        chance = random.Random(number)  # of each case, because lengths of files differ from call to call
        name, how, file = case(Path("run/seed_0"), Path("run/begun"), chance)
        out = Path(shutil.copytree("run", f"damaged_{number}"))
        damage(out / file, how, chance)
        seen.clear()
        line = command_line(name, out)
        answered = answer(line, capsys)
        what = outcome(answered, seen, whole, how, out)
        counts[what] += 1
        if what == "wrong":
            wrong.append((name, str(file), how, *answered))
        elif answered.code == 2:
            refused.append((line, answered))
    with capsys.disabled():
        print(f"\n{CASES} damaged files of runs: {dict(counts)}")
    assert not wrong, "\n".join(map(str, wrong))
    check_as_processes(refused, place, random.Random(0))


@pytest.mark.slow
def test_flipped_bits_of_checkpoints(place, seen, capsys):
    counts, refused = Counter[str](), []
    assert answer(command_line("export", Path("run")), capsys).kind == "carried out"
    whole = set(seen)
    files = [file for file in Path("run/seed_0/checkpoints").rglob("*") if file.is_file()]
    files = sorted((file for file in files if file.stat().st_size), key=place_in_order)
    for number in range(FLIPS):
        out = Path(shutil.copytree("run", f"flipped_{number}"))
        chance = random.Random(number)
        file = out / chance.choice(files).relative_to("run")
        content = bytearray(file.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        seen.clear()
        line = command_line("export", out)
        answered = answer(line, capsys)
        what = outcome(answered, seen, whole, "flipped", out)
        assert what != "wrong", (file, *answered)
        counts[what] += 1
        if answered.code == 2:
            refused.append((line, answered))
    with capsys.disabled():
        print(f"\n{FLIPS} checkpoints with one flipped bit: {dict(counts)}")
    check_as_processes(refused, place, random.Random(0))
