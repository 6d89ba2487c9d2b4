"""Two hundred command lines: each is carried out, or refused in one line."""

import os
import random
import re
from collections import Counter
from pathlib import Path

import jax
import pytest
from PIL import Image

from tests.batteries.answers import Accepted, answer, check_as_processes
from tests.tiny import TINY
from tests.tiny import config as tiny
from tests.untrained import gray_facts, make_run
from train.__main__ import COMMANDS, main
from train.commands.fit import Fit
from train.errors import UserError
from train.training.experiment import Experiment

LINES = 200
NUMBERS = {
    "INT": ("-1", "0", "1", "2", "7"),
    "FLOAT": ("-1", "0", "0.5", "1e-30", "1e400", "-inf", "inf", "nan"),
}
PATHS = (
    ".", "..", "no/such/path", "gs://bucket/run", "x://y", "fifo", "/dev/zero", "/dev/null", "loop",
    "a" * 300, "empty", "text.txt", "image.png", "images", "run", "run/config.json", "ä", "\udcff", "[x]",
    ":smile:"
)  # fmt: skip
OTHERS = (
    "", " ", "-", "--", "=", "None", "True", "{}", "(1,2)", "1,2", "'", "\n", "検査", "0x10", "1.5", "UNet",
    "dice", "cross_entropy", "epochs", "model.width", "test", "latest"
)  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with one of everything that a path may lead to; training and evaluation are stubbed."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    Path("empty").touch()
    Path("text.txt").write_text("no config\n")
    Path("images").mkdir()
    Image.new("L", (32, 32)).save("image.png")
    Image.new("L", (32, 32)).save("images/one.png")
    make_run(tmp_path / "run", Experiment(tiny, gray_facts(("background", "scratch", "spot", "pit"))))

    def alone(process: object) -> None:
        raise UserError("distributed: no other process")

    def accept(*_: object) -> None:
        raise Accepted

    monkeypatch.setattr("train.commands.fit.initialize_distributed", alone)
    monkeypatch.setattr(Fit, "_train", accept)
    monkeypatch.setattr("train.commands.evaluate.evaluate", lambda *_, **__: None)
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", None)


def flags(name: str, capsys: pytest.CaptureFixture) -> dict[str, str]:
    """The flags of a command, each with what its help says it takes."""
    with pytest.raises(SystemExit):
        main([name, *([str(TINY)] if "CONFIG" in COMMANDS[name].usage else []), "--help"])
    lines = re.findall(r"^\W*(--[a-z][a-z0-9.-]+)(.*)$", capsys.readouterr().out, re.MULTILINE)
    return {flag: takes.strip(" │") for flag, takes in lines}


def value(chance: random.Random, takes: str) -> str:
    """A value of the kind that a flag takes, or of any other."""
    kinds = [kind for kind in ("INT", "FLOAT", "PATH", "STR") if kind in takes]
    if kinds and chance.random() < 0.8:
        return chance.choice(NUMBERS.get(chance.choice(kinds), (*PATHS, *OTHERS)))
    return chance.choice((*PATHS, *OTHERS, *NUMBERS["INT"], *NUMBERS["FLOAT"]))


def command_line(chance: random.Random, known: dict[str, dict[str, str]]) -> list[str]:
    """A command line with one to three flags, arguments or mistakes."""
    name = chance.choice(list(known))
    line = [name, str(TINY) if "CONFIG" in COMMANDS[name].usage else "run"]
    line += ["images"] if name == "predict" else []
    if "--out" in known[name]:
        line += ["--out", chance.choice(("out", "out", value(chance, "PATH")))]
    for _ in range(chance.randint(1, 3)):
        flag, takes = chance.choice(list(known[name].items()))
        match chance.randrange(8):
            case 0 | 1 | 2 | 3:
                line += [
                    flag,
                    *(value(chance, takes) for _ in range(takes.count("INT") or 1) if takes[:1] != ","),
                ]
            case 4:
                line += [flag, *(value(chance, takes) for _ in range(chance.choice((0, 2, 3))))]
            case 5:
                line.insert(chance.randrange(len(line)), value(chance, "PATH"))
            case 6:
                line[chance.randrange(len(line))] = value(chance, "PATH")
            case 7 if len(line) > 1:
                del line[chance.randrange(1, len(line))]
    if chance.random() < 0.1:  # a slip of the finger
        position = chance.randrange(len(line))
        line[position] = line[position].replace(chance.choice(line[position] or "x"), "", 1)
    return line


@pytest.mark.slow
def test_every_command_line_is_carried_out_or_refused(place, capsys):
    known, chance = {name: flags(name, capsys) for name in COMMANDS}, random.Random(0)
    lines = [command_line(chance, known) for _ in range(LINES)]
    answers = [answer(line, capsys) for line in lines]
    wrong = [(line, *each) for line, each in zip(lines, answers, strict=True) if each.kind == "wrong"]
    with capsys.disabled():
        print(f"\n{LINES} command lines:", dict(Counter(each.kind for each in answers)))
    assert not wrong, "\n".join(map(str, wrong))
    refused = [(line, each) for line, each in zip(lines, answers, strict=True) if each.code == 2]
    check_as_processes(refused, place, chance)
