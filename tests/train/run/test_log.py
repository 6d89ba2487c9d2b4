"""What commands print, on streams of any encoding."""

import io
import os
import signal
import sys
from pathlib import Path

import pytest

import train.__main__
from tests.train.records import CLASSES, evaluation, label_statistics, muting
from train.commands.command import Command
from train.display.label_statistics import draw_statistics, statistics_tables
from train.display.tables import evaluation_tables, muting_table
from train.run.log import console, log, progress_line, quiet


class _Show(Command):
    """Print tables, and file names in log lines."""

    usage = ""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> "_Show":
        return cls()

    def run(self) -> None:
        console.print(*evaluation_tables(evaluation()))
        console.print("-0.5".replace("-", "\N{MINUS SIGN}"), "größe.png", "cut\udcff.png")
        log.info("note: größe.png")


class _ShowQuietly(_Show):
    """Print log lines alone."""

    def run(self) -> None:
        with quiet(log_lines=True):
            super().run()


@pytest.mark.parametrize(
    ("encoding", "name"), [("ascii", r"gr\xf6\xdfe"), ("latin-1", "größe"), ("utf-8", "größe")]
)
def test_characters_that_an_encoding_lacks_are_replaced(encoding, name, monkeypatch):
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding))
    monkeypatch.setattr(train.__main__, "COMMANDS", {"show": _Show})
    assert train.__main__.main(["show"]) == 0
    sys.stdout.flush()
    printed = file.getvalue().decode(encoding)
    minus, dash = ("\N{MINUS SIGN}", "\N{EN DASH}") if encoding == "utf-8" else ("-", "-")
    assert f"(95 % 0.41{dash}0.59, 7 groups)" in printed
    assert rf"{minus}0.5 {name}.png cut\udcff.png" in printed
    assert f"note: {name}.png" in printed


@pytest.mark.parametrize("buffering", [1, -1])
def test_a_full_stdout_ends_the_command_in_one_line(buffering, monkeypatch, capsys):
    monkeypatch.setattr(train.__main__, "COMMANDS", {"show": _Show})
    with Path("/dev/full").open("w", buffering) as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            train.__main__.main(["show"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: stdout: cannot be written (No space left on device); make room, or send it elsewhere\n"
    )


@pytest.mark.parametrize("log_lines", [False, True])
def test_a_pipe_that_nobody_reads_ends_the_command_in_silence(log_lines, monkeypatch, capsys):
    monkeypatch.setattr(train.__main__, "COMMANDS", {"show": _ShowQuietly if log_lines else _Show})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            train.__main__.main(["show"])
    assert ended.value.code == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_a_pipe_that_nobody_reads_ends_the_help_in_silence(monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            train.__main__.main(["predict", "--help"])
    assert ended.value.code == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


NAMES = ("[bold]", "[pit]", "[/x]", ":smile:", "$\\frac$")
"""Names that rich or matplotlib would take for markup."""


class _ShowNames(_Show):
    """Print tables of classes, and paths, whose names look like markup."""

    def run(self) -> None:
        classes = (*NAMES, "absent")
        console.print(*evaluation_tables(evaluation(classes)), muting_table(muting(classes)))
        console.print(*statistics_tables(label_statistics(classes)))
        for name in NAMES:
            console.print(f"report: {name}/" + "a" * 100, soft_wrap=True)
            log.info("note: %s", name)


def test_names_that_look_like_markup_are_printed_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr(train.__main__, "COMMANDS", {"show": _ShowNames})
    assert train.__main__.main(["show"]) == 0
    printed = capsys.readouterr().out
    for name in NAMES:
        assert printed.count(name) > len(evaluation_tables(evaluation(CLASSES)))
        assert f"report: {name}/{'a' * 100}\n" in printed
        assert f"note: {name}" in printed
    draw_statistics(label_statistics((*NAMES, "absent"))).savefig(io.BytesIO())
    with progress_line() as line:
        line.add_task("[/x]", note="[/x]")
