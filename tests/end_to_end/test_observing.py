"""What a run shows while it goes on, beside its figures; none of it changes the run."""

import re
import struct
from pathlib import Path

import pytest

from tests.end_to_end.runs import rows
from tests.tiny import TINY
from train.__main__ import main
from train.display.tensorboard import curves
from train.measures.records import EpochRecord
from train.run.files import read_rows


def events(directory: Path) -> list:
    """What is in TensorBoard's files: records of a length, its checksum, the event and its checksum."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

    result = []
    for path in sorted(directory.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            result.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that is watched in every way, and a plain one."""
    place = tmp_path_factory.mktemp("observing")
    command = ["fit", str(TINY), "--data-dir", str(place / "prepared"), "--epochs", "6"]
    assert main([*command, "--run-dir", str(place / "watched"), "--tensorboard", "--profile"]) == 0
    assert main([*command, "--run-dir", str(place / "plain")]) == 0
    return place


@pytest.mark.slow
def test_watching_changes_nothing(runs):
    assert rows(runs / "watched") == rows(runs / "plain")


@pytest.mark.slow
def test_every_figure_is_a_curve_and_predictions_are_shown(runs):
    epochs = read_rows(runs / "watched" / "metrics.jsonl", EpochRecord)
    result = events(runs / "watched" / "tensorboard")
    for row in epochs:
        values = [v for event in result if event.step == row.step for v in event.summary.value]
        scalars = {v.tag: v.simple_value for v in values if v.HasField("simple_value")}
        assert scalars == pytest.approx(curves(row), rel=1e-6)  # they are float32 there
        assert scalars["validation/classes/pit/dice"] == pytest.approx(
            row.validation.classes["pit"].dice, rel=1e-6
        )
        shown = [v.tag for v in values if v.tag.endswith("/prediction") and v.HasField("image")]
        assert len(shown) == 2  # of the validation images those with a defect
    images = [v.image for event in result for v in event.summary.value if v.HasField("image")]
    assert {(image.height, image.width) for image in images} == {(32, 32)}


@pytest.mark.slow
def test_a_profile_shows_steps(runs):
    [trace] = (runs / "watched" / "profile").rglob("*.xplane.pb")
    assert b"train_step" in trace.read_bytes()


@pytest.mark.slow
def test_quiet_is_a_line_with_the_time_for_each_thing(runs, capsys):
    command = ["fit", str(TINY), "--run-dir", str(runs / "quiet"), "--data-dir", str(runs / "prepared")]
    assert main([*command, "--epochs", "1", "--quiet"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \w", line) for line in said)
    assert sum("epoch 1/1" in line for line in said) == 1
    assert main(["evaluate", str(runs / "quiet"), "--data-dir", str(runs / "prepared")]) == 0
    assert "test part" in capsys.readouterr().out  # and the next command speaks again
