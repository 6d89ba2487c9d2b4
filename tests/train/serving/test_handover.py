"""Label images that are handed over: read again by the folder data set, taken back, nothing else replaced."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.data.prepare import prepare
from train.data.sets import Folder
from train.errors import UserError
from train.serving.handover import Handover

HOSTILE = [
    "../../../etc/passwd",
    "<script>alert(1)</script>.png",
    "a/b\\c.tif",
    "",
    "...",
    "\x00\n",
    "ä ö.png",
    "x" * 999,
]


def picture(seed, channels=1):
    return np.random.default_rng(seed).integers(0, 256, (20, 30, channels), np.uint8)


def classes(seed):
    return np.random.default_rng(seed).integers(0, 3, (20, 30)).astype(np.uint8)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_folder_is_read_as_it_is(tmp_path, channels):
    handover = Handover(tmp_path / "out")
    for seed in range(8):
        verdict = "no defect" if seed == 5 else "accepted"
        handover.give(f"part/{seed}.png", picture(seed, channels), classes(seed), verdict)
    handover.give("rejected", picture(99, channels), classes(99), "rejected")
    folder = Folder(
        images=str(tmp_path / "out" / "images"),
        masks=str(tmp_path / "out" / "masks"),
        classes=("background", "scratch", "dent"),
        channels=None if channels in (1, 3) else channels,
    )
    prepared = prepare(folder, data_dir=tmp_path / "prepared", source=None)
    records = {record["name"]: record for part in prepared.parts.values() for record in part}
    assert len(records) == 8
    for seed in range(8):
        (record,) = (record for name, record in records.items() if name.startswith(f"part_{seed}-"))
        np.testing.assert_array_equal(record["image"], picture(seed, channels))
        np.testing.assert_array_equal(record["label"], 0 if seed == 5 else classes(seed))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_never_leads_out_of_the_folder(tmp_path, name):
    handover = Handover(tmp_path / "out")
    handover.give(name, picture(0), classes(0), "accepted")
    image, mask, ledger = files(tmp_path)
    assert Path(image).parent.as_posix() == "out/images"
    assert Path(mask).parent.as_posix() == "out/masks"
    assert ledger == "out/verdicts.json"
    assert Path(image).name == Path(mask).name
    assert len(Path(image).name) < 90
    assert set(Path(image).stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_images_of_one_name_stay_apart(tmp_path):
    handover = Handover(tmp_path)
    for seed in range(3):
        handover.give("image.png", picture(seed), classes(seed), "accepted")
    assert len(files(tmp_path / "masks")) == 3
    assert handover.counts() == {"accepted": 3, "no defect": 0, "rejected": 0}


def test_a_verdict_replaces_the_one_before_and_is_taken_back(tmp_path):
    handover, image = Handover(tmp_path), picture(0)
    assert handover.verdict("a", image) is None
    handover.give("a", image, classes(0), "accepted")
    handover.give("a", image, classes(1), "accepted")
    (mask,) = (tmp_path / "masks").iterdir()
    with Image.open(mask) as stored:
        np.testing.assert_array_equal(np.asarray(stored), classes(1))
    assert Handover(tmp_path).verdict("a", image) == "accepted"
    handover.give("a", image, classes(1), "rejected")
    assert files(tmp_path) == ["verdicts.json"]
    assert Handover(tmp_path).verdict("a", image) == "rejected"
    handover.take_back("a", image)
    handover.take_back("a", image)
    assert handover.verdict("a", image) is None
    assert json.loads((tmp_path / "verdicts.json").read_text()) == {}


def test_a_file_that_was_edited_is_kept(tmp_path):
    handover, image = Handover(tmp_path), picture(0)
    handover.give("a", image, classes(0), "accepted")
    (mask,) = (tmp_path / "masks").iterdir()
    mask.write_bytes(b"edited")
    for act in (
        lambda: handover.give("a", image, classes(1), "accepted"),
        lambda: handover.give("a", image, classes(1), "rejected"),
        lambda: handover.take_back("a", image),
    ):
        with pytest.raises(UserError, match=r"was changed or is from elsewhere; it is kept"):
            act()
    assert mask.read_bytes() == b"edited"
    assert len(files(tmp_path)) == 3


def test_files_from_elsewhere_are_kept(tmp_path):
    first, image = Handover(tmp_path), picture(0)
    first.give("a", image, classes(0), "accepted")
    (tmp_path / "verdicts.json").write_text("{}")
    with pytest.raises(UserError, match="it is kept"):
        Handover(tmp_path).give("a", image, classes(1), "accepted")
    Handover(tmp_path).give("a", image, classes(0), "accepted")  # an interrupted verdict, given again
    (tmp_path / "verdicts.json").write_text("{}")
    (mask,) = (tmp_path / "masks").iterdir()
    with Image.open(mask) as stored:
        np.testing.assert_array_equal(np.asarray(stored), classes(0))


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    first, image = Handover(tmp_path / "out"), picture(0)
    first.give("a", image, classes(0), "accepted")
    (mask,) = (tmp_path / "out" / "masks").iterdir()
    mask.unlink()
    mask.symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="is no file of this page"):
        first.give("a", image, classes(1), "accepted")
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"a": 1}', '{"a": {"verdict": "maybe", "files": {}}}', "\udcff"]
)
def test_a_damaged_ledger_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "verdicts.json").write_text(content, errors="surrogateescape")
    with pytest.raises(UserError, match=r"verdicts\.json") as refusal:
        Handover(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("path", ["../../precious", "/etc/passwd", "images/../../precious"])
def test_a_ledger_that_names_other_files_removes_none(tmp_path, path):
    out, image = tmp_path / "out", picture(0)
    first = Handover(out)
    first.give("a", image, classes(0), "rejected")
    (tmp_path / "precious").write_bytes(b"precious")
    ledger = json.loads((out / "verdicts.json").read_text())
    (key,) = ledger
    digest = "7e9e0e6dd5a3dbb6e8b2a6c41f5a9b2e9f6f9c2b0f5ef6f3ea6f1a7c0ea5c6b8"
    ledger[key] = {"verdict": "accepted", "files": {path: digest}}
    (out / "verdicts.json").write_text(json.dumps(ledger))
    with pytest.raises(UserError):
        Handover(out).take_back("a", image)
    assert (tmp_path / "precious").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Handover(tmp_path / "file" / "out")


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="new or empty, or a folder that serve has written"):
        Handover(tmp_path)
    assert files(tmp_path) == ["images/mine.png"]


@pytest.mark.parametrize("damage", ["append", "replace", "remove", "remove all"])
def test_a_ledger_that_is_changed_meanwhile_is_kept(tmp_path, damage):
    out, image = tmp_path / "out", picture(0)
    handover = Handover(out)
    handover.give("a", image, classes(0), "accepted")
    ledger = out / "verdicts.json"
    if damage == "append":
        ledger.write_text(ledger.read_text() + "junk")
    elif damage == "replace":
        ledger.unlink()
        ledger.mkdir()
    elif damage == "remove":
        ledger.unlink()
    else:
        shutil.rmtree(out)
    before = {path: (tmp_path / path).read_bytes() for path in files(tmp_path)}
    message = {
        "append": r"verdicts\.json: was changed",
        "replace": r"verdicts\.json: cannot be read",
        "remove": r"verdicts\.json: is gone",
        "remove all": "out: is",
    }
    for act in (
        lambda: handover.give("a", image, classes(1), "rejected"),
        lambda: handover.give("b", image, classes(1), "accepted"),
        lambda: handover.take_back("a", image),
    ):
        with pytest.raises(UserError, match=message[damage]):
            act()
    assert {path: (tmp_path / path).read_bytes() for path in files(tmp_path)} == before
