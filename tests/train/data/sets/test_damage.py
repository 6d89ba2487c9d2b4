"""Damaged files of every data set: read correctly or refused in one line naming the file; never executed."""

import errno
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from tests.train.data.image_files import encoded, pages, png_header, tiff
from tests.train.data.sets.tiny_sets import HEIGHT, LABEL, SETS, WIDTH, Bomb, Open
from train.data.builder import SegmentationBuilder
from train.data.example import VOID
from train.data.prepare import decode
from train.data.sets.folder import read_coco
from train.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


# Contents that replace a file.


def half_transparent() -> Image.Image:
    return Image.fromarray(np.dstack([RGB, LABEL * 128]))


def rotated() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(Image.fromarray(RGB), "jpeg", exif=exif)


OTHER_KINDS = {
    "nothing": b"",
    "text": "Größe,検査\n".encode(),
    "zeros": bytes(400),
    "a pickle": pickle.dumps(Bomb("executed")),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "JSON": b'{"shapes": [], "images": 3}',
    "deep JSON": b"[" * 100_000,
    "CSV": b'name,group,name\n"0\n1",a,"\n,,,,\n',
    "another CSV": b'ImageId,ClassId,EncodedPixels\n"0\n.jpg",1,"1 2"\n0.jpg,1,1 1 1\n',
    "CSV with a zero": b"ImageId,ClassId,EncodedPixels\n0.jpg,1,\0\n",
    "GIF": encoded(Image.fromarray(LABEL), "gif"),
    "a gray PNG": encoded(Image.fromarray(RGB[..., 0]), "png"),
    "an RGB PNG": encoded(Image.fromarray(RGB), "png"),
    "16 bits": encoded(Image.fromarray(LABEL.astype(np.uint16) * 300), "png"),
    "16 bits in color": tiff(RGB.astype(np.uint16) * 256),
    "five channels": tiff(np.zeros((HEIGHT, WIDTH, 5), np.uint8)),
    "floating point": encoded(Image.fromarray(LABEL.astype(np.float32)), "tiff"),
    "alpha": encoded(half_transparent(), "png"),
    "a palette": encoded(Image.fromarray(RGB).convert("P"), "png"),
    "bits": encoded(Image.fromarray(LABEL > 0), "png"),
    "CMYK": encoded(Image.new("CMYK", (WIDTH, HEIGHT)), "jpeg"),
    "rotated": rotated(),
    "one pixel less": encoded(Image.fromarray(LABEL[:, 1:]), "png"),
    "several images": pages(RGB),
    "a bomb": png_header(60_000, 60_000),
    "a large one": png_header(10_000, 10_000),
    "an unknown label": encoded(Image.fromarray(LABEL * 7), "png"),
}


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """Return the content of a file cut off, changed in places or replaced."""
    damage = data.draw(st.sampled_from(["cut", "changed", "random"]))
    if damage == "cut":
        return content[: data.draw(st.integers(0, len(content) - 1))]
    if damage == "random":
        return data.draw(st.binary(max_size=60))
    changed = bytearray(content)
    for index in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        changed[index] = data.draw(st.integers(0, 255))
    return bytes(changed)


def check(builder: SegmentationBuilder) -> None:
    """Read a whole set, as building does."""
    for items in builder.items().values():
        for item in items:
            example = builder.example(item)
            assert example.pixels.dtype == example.label.dtype == np.uint8
            assert example.pixels.shape[:2] == example.label.shape
            assert set(np.unique(example.label)) <= {*range(len(builder.classes)), VOID}
            np.testing.assert_array_equal(decode(example.image, example.pixels.shape[-1]), example.pixels)


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[Callable, tuple[Path, Open]]:
    roots = {make: tmp_path_factory.mktemp(f"Größe 検査 {make.__name__}") for make in SETS}
    return {make: (root, make(root)) for make, root in roots.items()}


@pytest.fixture(autouse=True)
def quiet_and_harmless(tmp_path, monkeypatch, capfd, caplog):
    """Nothing is executed, and neither C libraries nor Pillow print or log anything."""
    monkeypatch.chdir(tmp_path)  # where pickles would make a folder
    yield
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert {record.name for record in caplog.records} <= {
        "train.data.sets.archive",
        "train.data.sets.severstal",
    }


def files_of(root: Path) -> list[Path]:
    """Return the files that the builder of a set reads."""
    return sorted(path for path in root.rglob("*.*") if path.is_file() and path.suffix != ".pyb")


def one_of_each_kind(root: Path) -> list[Path]:
    """Return a file of each kind: an image, a label image, a table and so on."""
    files = {(path.parent, path.suffix, "_GT" in path.stem): path for path in files_of(root)}
    return list(files.values())


def read_or_refused(opened: Open, path: Path) -> None:
    """Check that a set is read correctly, or refused in one line that names the file."""
    try:
        check(opened())
    except UserError as error:
        message = str(error)
        assert message.isprintable()
        assert path.stem.removesuffix("_GT").removesuffix("_label") in message


@pytest.mark.parametrize("make", SETS)
def test_undamaged_sets_are_read(sets, make):
    check(sets[make][1]())


@pytest.mark.parametrize("make", SETS)
def test_another_kind_of_file_is_read_or_named_in_one_line(sets, make):
    root, opened = sets[make]
    for path in one_of_each_kind(root):
        whole = path.read_bytes()
        for content in OTHER_KINDS.values():
            path.write_bytes(content)
            read_or_refused(opened, path)
        path.write_bytes(whole)


@pytest.mark.parametrize("make", SETS)
def test_a_folder_link_or_pipe_in_place_of_a_file_is_named_in_one_line(sets, make, tmp_path_factory):
    root, opened = sets[make]
    aside = tmp_path_factory.mktemp("aside") / "file"
    for path in one_of_each_kind(root):
        path.rename(aside)
        for put in (
            Path.mkdir,
            lambda path: path.symlink_to("nowhere"),
            lambda path: path.symlink_to(path),
            os.mkfifo,
        ):
            put(path)
            read_or_refused(opened, path)
            path.rmdir() if path.is_dir() else path.unlink()
        read_or_refused(opened, path)
        aside.rename(path)


@pytest.mark.parametrize("make", SETS)
def test_a_file_that_may_not_be_read_is_named(sets, make, monkeypatch):
    root, opened = sets[make]
    read = Path.read_bytes
    for path in one_of_each_kind(root):

        def refuse(asked: Path, forbidden: Path = path) -> bytes:
            if asked == forbidden:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return read(asked)

        monkeypatch.setattr(Path, "read_bytes", refuse)
        read_coco.cache_clear()  # the cached file has an unchanged state
        with pytest.raises(UserError, match=rf"{re.escape(str(path))}: cannot be read \(Permission denied\)"):
            check(opened())


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", SETS)
def test_a_damaged_file_is_read_or_named_in_one_line(sets, make, examples):
    root, opened = sets[make]

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True)
    @given(st.sampled_from(files_of(root)), st.data())
    def attempt(path, data):
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, data))
        try:
            read_or_refused(opened, path)
        finally:
            path.write_bytes(whole)

    attempt()
