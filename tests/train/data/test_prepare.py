import json
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from train.data.builder import THREADS, map_in_threads
from train.data.example import Example
from train.data.pixels import png_bytes
from train.data.prepare import decode, open_prepared, prepare
from train.data.sets import generated
from train.data.sets.generated import Generated, GeneratedBuilder
from train.errors import UserError
from train.run import log

TINY = Generated(train=4, validation=2, test=3, size=32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return prepare(TINY, data_dir=tmp_path_factory.mktemp("prepared"))


def test_records_are_images_with_labels_of_equal_size(tiny):
    assert tiny.classes == ("background", "scratch", "spot", "pit")
    assert tiny.channels == 1
    assert {part: len(records) for part, records in tiny.parts.items()} == {
        "train": 4,
        "validation": 2,
        "test": 3,
    }
    for part, records in tiny.parts.items():
        for number, record in enumerate(records):
            assert record["name"] == f"{part}/{number:05d}"
            assert record["image"].shape == (32, 32, 1)
            assert record["label"].shape == (32, 32)
            assert record["image"].dtype == record["label"].dtype == np.uint8
        assert tiny.canvas(part) == (32, 32)


def test_pixels_are_stored_without_loss(tiny):
    image, label = generated.paint(np.random.default_rng((0, 2, 1)), 32)
    np.testing.assert_array_equal(tiny.parts["test"][1]["image"][..., 0], image)
    np.testing.assert_array_equal(tiny.parts["test"][1]["label"], label)


def test_an_image_of_more_samples_than_pillow_opens_is_decoded(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 30)
    np.testing.assert_array_equal(decode(png_bytes(pixels), 4), pixels)


def test_the_classes_of_each_example_are_known_without_decoding_it(tiny, tmp_path, monkeypatch):
    for records in tiny.parts.values():
        assert list(records.present) == [tuple(np.unique(record["label"])) for record in records]
        assert records.defective == [bool(record["label"].any()) for record in records]
    assert {True, False} == {shows for records in tiny.parts.values() for shows in records.defective}
    labels = np.array(
        [np.full((32, 32), 255), np.zeros((32, 32)), np.eye(32) * 3, np.eye(32) * 255], np.uint8
    )

    def example(self, item):  # by several threads, in any order
        part, index = item
        return Example(f"{part}/{index}", b"", np.zeros((32, 32, 1), np.uint8), labels[index])

    monkeypatch.setattr(GeneratedBuilder, "example", example)
    part = prepare(TINY, data_dir=tmp_path).parts["train"]
    assert part.present == ((), (0,), (0, 3), (0,))
    assert part.defective == [False, False, True, False]


def test_labels_are_read_without_decoding_the_images(tiny, monkeypatch):
    part = tiny.parts["train"]
    expected = [record["label"] for record in part]
    decoded = []

    def counting(encoded, channels):
        decoded.append(encoded)
        return decode(encoded, channels)

    monkeypatch.setattr("train.data.prepare.decode", counting)
    np.testing.assert_array_equal(list(part.labels()), expected)
    assert len(decoded) == len(part)


def test_an_image_without_a_group_is_a_group_of_its_own(tiny):
    for records in tiny.parts.values():
        assert list(records.groups) == [record["name"] for record in records]


def test_a_set_prepared_without_groups_is_to_be_built_again(tiny, tmp_path):
    copy = tmp_path / "prepared"
    shutil.copytree(tiny.parts["train"].directory.parents[2], copy)
    [file] = copy.rglob("metadata.json")
    old = json.loads(file.read_text())
    del old["groups"]
    file.write_text(json.dumps(old))
    with pytest.raises(UserError, match=r"delete this folder, and the command builds it again"):
        prepare(TINY, data_dir=copy)
    shutil.rmtree(file.parent)
    assert prepare(TINY, data_dir=copy).fingerprint == tiny.fingerprint


def test_a_pickled_part_leaves_out_open_files(tiny):
    part = tiny.parts["train"]
    expected = part[2]
    sent = pickle.dumps(part)
    assert len(sent) < 2000
    record = pickle.loads(sent)[2]
    assert record["name"] == expected["name"]
    np.testing.assert_array_equal(record["image"], expected["image"])


def test_a_prepared_set_is_opened_and_not_built_again(tiny, monkeypatch):
    monkeypatch.setattr(GeneratedBuilder, "items", None)
    data_dir = tiny.parts["train"].directory.parents[2]
    assert prepare(TINY, data_dir=data_dir) == tiny


def test_the_fingerprint_changes_with_the_content_only(tiny, tmp_path, monkeypatch):
    assert prepare(TINY, data_dir=tmp_path / "a").fingerprint == tiny.fingerprint
    paint = generated.paint

    def paint_one_pixel_differently(rng, size):
        image, label = paint(rng, size)
        label[0, 0] = 255
        return image, label

    monkeypatch.setattr(generated, "paint", paint_one_pixel_differently)
    assert prepare(TINY, data_dir=tmp_path / "b").fingerprint != tiny.fingerprint


KILLED = """
import os, signal, sys
from pathlib import Path
from train.data.sets import generated
from train.data.prepare import open_prepared, prepare
painted = []
def paint(rng, size, paint=generated.paint):
    painted.append(size)
    if len(painted) >= 6:  # several threads paint
        os.kill(os.getpid(), signal.SIGKILL)
    return paint(rng, size)
generated.paint = paint
prepare(generated.Generated(train=4, validation=2, test=3, size=32), data_dir=Path(sys.argv[1]))
"""


def test_a_killed_preparation_leaves_no_set(tiny, tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path]).returncode == -9
    assert list(tmp_path.rglob("incomplete.*"))
    assert prepare(TINY, data_dir=tmp_path).fingerprint == tiny.fingerprint
    assert not list(tmp_path.rglob("incomplete.*"))


def test_an_interrupted_preparation_leaves_no_files(tiny, tmp_path, monkeypatch):
    def interrupt(rng, size):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(generated, "paint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(TINY, data_dir=tmp_path)
    assert not list(tmp_path.rglob("incomplete.*"))
    assert prepare(TINY, data_dir=tmp_path).fingerprint == tiny.fingerprint


ALONE = """
import sys
from pathlib import Path
from train.data.sets import Generated
from train.data.sets import Folder
from train.data.sets import MagneticTile
from train.data.sets import NeuSeg
from train.data.prepare import open_prepared, prepare
data = prepare(Generated(train=4, validation=2, test=3, size=32), data_dir=Path(sys.argv[1]))
data.parts["train"][0]
assert not {"tensorflow", "torch", "jax"} & sys.modules.keys()
print(data.fingerprint)
"""


def test_two_processes_prepare_one_set_at_once_without_tensorflow_and_jax(tiny, tmp_path):
    command = [sys.executable, "-W", "error", "-c", ALONE, tmp_path]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    assert [process.communicate() for process in both] == [(f"{tiny.fingerprint}\n", "")] * 2


def test_examples_are_made_in_advance_but_not_all_at_once():
    made = []
    stream = map_in_threads(lambda item: made.append(item) or item, range(1000))
    assert next(stream) == 0
    assert len(made) <= 2 * THREADS + 1
    assert list(stream) == list(range(1, 1000))
    assert sorted(made) == list(range(1000))


def test_preparing_opens_no_socket_and_prints_nothing(tmp_path, monkeypatch, capfd):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    prepare(TINY, data_dir=tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_is_shown_on_a_terminal_unless_the_console_is_quiet(tmp_path, monkeypatch, capfd, quiet):
    monkeypatch.setenv("FORCE_COLOR", "1")  # any console takes its output for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(log, "console", Console(force_interactive=True, quiet=quiet))
    prepare(TINY, data_dir=tmp_path)
    output, errors = capfd.readouterr()
    assert ("Preparing generated, train" in output) is not quiet
    assert not errors


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/in: .*cannot be written.*Not a directory.*--data-dir"):
        prepare(TINY, data_dir=tmp_path / "file" / "in")


def test_a_full_disk_is_a_user_error_and_another_failure_is_not(tmp_path, monkeypatch):
    def fail(text):
        def prepare(self, **options):
            raise RuntimeError(text)

        monkeypatch.setattr(GeneratedBuilder, "download_and_prepare", prepare)

    fail("write() failed: No space left on device; writing x")
    with pytest.raises(UserError, match=r"\(No space left on device\); .*make room"):
        prepare(TINY, data_dir=tmp_path)
    fail("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        prepare(TINY, data_dir=tmp_path)


def test_a_set_may_move_with_its_folder(tiny, tmp_path: Path):
    moved = tmp_path / "elsewhere"
    prepare(TINY, data_dir=tmp_path / "here")
    (tmp_path / "here").rename(moved)
    opened = prepare(TINY, data_dir=moved)
    assert opened.fingerprint == tiny.fingerprint
    assert opened.parts["test"][0]["name"] == "test/00000"


@pytest.mark.parametrize("keep", [None, 0, 0.5, 0.99])
@pytest.mark.parametrize(
    "name",
    ["*-test.array_record*", "*-train.array_record*", "dataset_info.json", "features.json", "metadata.json"],
)
def test_an_incomplete_copy_is_refused(tiny, tmp_path, name, keep):
    copy = tmp_path / "prepared"
    shutil.copytree(tiny.parts["train"].directory.parents[2], copy)
    [file] = copy.rglob(name)
    whole = file.read_bytes()
    file.unlink()
    if keep is not None:
        file.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(
        UserError, match=r"1\.2\.0: .*; delete this folder, and the command builds it again"
    ) as e:
        prepare(TINY, data_dir=copy)
    assert str(file.parent) in str(e.value)
    assert "\n" not in str(e.value)
    shutil.rmtree(file.parent)
    assert prepare(TINY, data_dir=copy).fingerprint == tiny.fingerprint


def test_an_empty_folder_is_refused(tiny, tmp_path):
    place = tiny.parts["train"].directory.relative_to(tiny.parts["train"].directory.parents[2])
    (tmp_path / place).mkdir(parents=True)
    with pytest.raises(UserError, match=r"its JSON files are incomplete or damaged; delete this folder"):
        prepare(TINY, data_dir=tmp_path)


def test_a_changed_record_is_refused_or_read_unchanged(tiny, tmp_path):
    part = tiny.parts["train"]
    shutil.copytree(part.directory.parents[2], tmp_path, dirs_exist_ok=True)
    directory = tmp_path / part.directory.relative_to(part.directory.parents[2])
    [file] = directory.glob("*-train.array_record*")
    whole = file.read_bytes()
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    for place in used[:: len(used) // 40]:
        changed = bytearray(whole)
        changed[place] ^= 16
        file.write_bytes(changed)
        try:
            images = [record["image"] for record in open_prepared(directory).parts["train"]]
        except UserError as error:
            message = str(error)
            assert message.startswith(f"{directory}: ")
            assert message.endswith("delete this folder, and the command builds it again")
        else:
            np.testing.assert_array_equal(images, [record["image"] for record in part])
