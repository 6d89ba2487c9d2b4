"""Damaged files of every set: each is read right, or ends in one line that names it; nothing is executed."""

import csv
import errno
import json
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from tests.train.data.image_files import encoded, pages, png_header, save, tiff
from train.data.builder import SegmentationBuilder
from train.data.example import VOID
from train.data.prepare import decode
from train.data.sets.folder import Folder, read_coco
from train.data.sets.kolektor_sdd import KolektorSDDSurfaces
from train.data.sets.kolektor_sdd2 import KolektorSDD2Surfaces
from train.data.sets.magnetic_tile import FOLDERS, MagneticTileSurfaces
from train.data.sets.neu_seg import NeuSegSurfaces
from train.data.sets.severstal import SeverstalSurfaces
from train.errors import UserError

HEIGHT, WIDTH = 6, 8
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
LABEL = np.zeros((HEIGHT, WIDTH), np.uint8)
LABEL[:2, :3] = 1

# The sets, as small as they can be. Each function writes one and returns how it is read.

Open = Callable[[], SegmentationBuilder]


def photograph(path: Path, seed: int, colour: bool = False) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    save(Image.fromarray(pixels if colour else pixels[..., 0]), path)


def folder(root: Path, **options: Any) -> Open:
    """Four images in four formats; masks are written by the caller."""
    for k, ending in enumerate(("jpg", "png", "bmp", "tif")):
        photograph(root / f"images/{k}.{ending}", k, colour=k > 1)
    data = Folder(str(root / "images"), **{"masks": str(root / "masks"), **options})
    return lambda: data.builder(data_dir=root / "prepared", source=None)


def folder_of_ids(root: Path) -> Open:
    for k, ending in enumerate(("png", "bmp", "tif", "png")):
        save(Image.fromarray(LABEL), root / f"masks/{k}.{ending}")
    with (root / "groups.csv").open("w") as file:
        csv.writer(file).writerows([("name", "group"), ("0", "a"), ("1", "a"), ("2", "b"), ("3", "c")])
    return folder(root, groups=str(root / "groups.csv"))


def folder_of_black_and_white(root: Path) -> Open:
    for k, ending in enumerate(("png", "jpg", "tif", "bmp")):
        save(Image.fromarray(LABEL * 255), root / f"masks/{k}.{ending}")
    return folder(root, threshold=127)


def folder_of_colours(root: Path) -> Open:
    table = np.array([(0, 0, 0), (255, 0, 0), (255, 255, 255)], np.uint8)
    for k, ending in enumerate(("png", "bmp", "tif", "png")):
        image = Image.fromarray(table[LABEL])
        save(image.convert("P") if k == 3 else image, root / f"masks/{k}.{ending}")
    return folder(root, colors=("000000", "ff0000", "ffffff"))


def folder_of_labelme(root: Path) -> Open:
    (root / "masks").mkdir()
    kinds = (
        ("polygon", [[0, 0], [3, 0], [3, 2], [0, 2]]),
        ("rectangle", [[0, 0], [3, 2]]),
        ("circle", [[1, 1], [2, 1]]),
    )
    for k in range(4):
        shapes = [{"label": "defect", "points": points, "shape_type": kind} for kind, points in kinds]
        content = {"imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes[: k + 1]}
        (root / f"masks/{k}.json").write_text(json.dumps(content))
    return folder(root)


def folder_of_coco(root: Path) -> Open:
    names = ("0.jpg", "1.png", "2.bmp", "3.tif")
    shapes = [[0, 0, 3, 0, 3, 2, 0, 2]], {"counts": [1, 3, 44]}, {"counts": "13\\1"}, [[1, 1, 5, 1, 5, 5]]
    content = {
        "images": [
            {"id": k, "file_name": name, "height": HEIGHT, "width": WIDTH} for k, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "defect"}],
        "annotations": [
            {"image_id": k, "category_id": 1, "segmentation": shape} for k, shape in enumerate(shapes)
        ],
    }
    (root / "all.json").write_text(json.dumps(content))
    return folder(root, masks=str(root / "all.json"))


def folder_of_many_channels(root: Path) -> Open:
    values = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH, 5), np.uint16)
    (root / "images").mkdir()
    for k, content in enumerate((tiff(values), tiff(values, ">", separate=True), pages(values))):
        (root / f"images/{k}.tif").write_bytes(content)
        save(Image.fromarray(LABEL), root / f"masks/{k}.png")
    data = Folder(str(root / "images"), str(root / "masks"), levels=(0, 4095), channels=5)
    return lambda: data.builder(data_dir=root / "prepared", source=None)


def neu_seg(root: Path) -> Open:
    table = {
        f"{split}/{n:06}": f"{n}"
        for split, first in (("training", 1), ("test", 7))
        for n in range(first, first + 2)
    }
    for seed, name in enumerate(table):
        photograph(root / f"NEU_Seg/images/{name}.jpg", seed)
        save(Image.fromarray(LABEL * (seed % 4)), root / f"NEU_Seg/annotations/{name}.png")
    return lambda: NeuSegSurfaces("grouped", table, data_dir=root / "prepared", source=root)


def magnetic_tile(root: Path) -> Open:
    table = {f"{folder}/exp1_num_{k}": f"{k}" for k, folder in enumerate(FOLDERS)}
    for k, name in enumerate(table):
        path = root / "Magnetic-tile-defect-datasets." / name.replace("/", "/Imgs/")
        photograph(path.with_suffix(".jpg"), k)
        save(Image.fromarray(LABEL * (255 if k else 0)), path.with_suffix(".png"))
    return lambda: MagneticTileSurfaces(table, data_dir=root / "prepared", source=root)


def kolektor_sdd(root: Path) -> Open:
    for item in (1, 2, 5):
        photograph(root / f"KolektorSDD/kos{item:02}/Part0.jpg", item)
        save(Image.fromarray(LABEL * 255), root / f"KolektorSDD/kos{item:02}/Part0_label.bmp")
    with_pickles(root / "KolektorSDD")
    return lambda: KolektorSDDSurfaces("grouped", 0, data_dir=root / "prepared", source=root)


def kolektor_sdd2(root: Path) -> Open:
    for number in (10000, 10001, 20000):
        name = f"KolektorSDD2/{'train' if number < 20000 else 'test'}/{number}"
        photograph(root / f"{name}.png", number, colour=True)
        save(Image.fromarray(LABEL * 255), root / f"{name}_GT.png")
    with_pickles(root / "KolektorSDD2")
    return lambda: KolektorSDD2Surfaces(data_dir=root / "prepared", source=root)


def severstal(root: Path) -> Open:
    source = root / "severstal-steel-defect-detection"
    for k in range(4):
        photograph(source / f"train_images/{k}.jpg", k)
    rows = [
        ("ImageId", "ClassId", "EncodedPixels"),
        ("0.jpg", 1, "1 2 8 1"),
        ("0.jpg", 3, "20 4"),
        ("1.jpg", 4, "48 1"),
    ]
    with (source / "train.csv").open("w") as file:
        csv.writer(file).writerows(rows)
    return lambda: SeverstalSurfaces(0, data_dir=root / "prepared", source=root)


SETS = (
    folder_of_ids, folder_of_black_and_white, folder_of_colours, folder_of_labelme, folder_of_coco,
    folder_of_many_channels, neu_seg, magnetic_tile, kolektor_sdd, kolektor_sdd2, severstal,
)  # fmt: skip


@dataclass
class Bomb:
    """A pickle of it makes a file when it is read."""

    file: str

    def __reduce__(self):
        return os.mkdir, (self.file,)


def with_pickles(place: Path) -> None:
    """Split files as those that are published with both Kolektor sets; these would do something when read."""
    for name in ("split.pyb", "train/split_0.pyb", "splits/split_weakly_0.pyb"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(pickle.dumps(Bomb("executed")))


# What happens to a file.


def half_transparent() -> Image.Image:
    return Image.fromarray(np.dstack([RGB, LABEL * 128]))


def turned() -> bytes:
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
    "a grey PNG": encoded(Image.fromarray(RGB[..., 0]), "png"),
    "an RGB PNG": encoded(Image.fromarray(RGB), "png"),
    "16 bits": encoded(Image.fromarray(LABEL.astype(np.uint16) * 300), "png"),
    "16 bits in colour": tiff(RGB.astype(np.uint16) * 256),
    "five channels": tiff(np.zeros((HEIGHT, WIDTH, 5), np.uint8)),
    "floating point": encoded(Image.fromarray(LABEL.astype(np.float32)), "tiff"),
    "alpha": encoded(half_transparent(), "png"),
    "a palette": encoded(Image.fromarray(RGB).convert("P"), "png"),
    "bits": encoded(Image.fromarray(LABEL > 0), "png"),
    "CMYK": encoded(Image.new("CMYK", (WIDTH, HEIGHT)), "jpeg"),
    "turned": turned(),
    "one pixel less": encoded(Image.fromarray(LABEL[:, 1:]), "png"),
    "several images": pages(RGB),
    "a bomb": png_header(60_000, 60_000),
    "a large one": png_header(10_000, 10_000),
    "an unknown label": encoded(Image.fromarray(LABEL * 7), "png"),
}


def spoiled(content: bytes, data: st.DataObject) -> bytes:
    """The bytes of a file after one of many accidents."""
    how = data.draw(st.sampled_from(["cut", "changed", "random"]))
    if how == "cut":
        return content[: data.draw(st.integers(0, len(content) - 1))]
    if how == "random":
        return data.draw(st.binary(max_size=60))
    changed = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    return bytes(changed)


def check(builder: SegmentationBuilder) -> None:
    """Reads all of a set as building it does."""
    for items in builder.plan.values():
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
    """Nothing is executed, and nothing said beside the one line: not by C libraries, not by Pillow."""
    monkeypatch.chdir(tmp_path)  # where the pickles would leave their trace
    yield
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert {record.name for record in caplog.records} <= {
        "train.data.sets.archive",
        "train.data.sets.severstal",
    }


def files_of(root: Path) -> list[Path]:
    """The files of a set that are read."""
    return sorted(path for path in root.rglob("*.*") if path.is_file() and path.suffix != ".pyb")


def one_of_each_kind(root: Path) -> list[Path]:
    """An image, a mask, a table and so on."""
    files = {(path.parent, path.suffix, "_GT" in path.stem): path for path in files_of(root)}
    return list(files.values())


def read_or_refused(opened: Open, path: Path) -> None:
    """A set is read right, or refused with one line that names a file."""
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
def test_another_kind_of_file_is_read_right_or_named_in_one_line(sets, make):
    root, opened = sets[make]
    for path in one_of_each_kind(root):
        whole = path.read_bytes()
        for content in OTHER_KINDS.values():
            path.write_bytes(content)
            read_or_refused(opened, path)
        path.write_bytes(whole)


@pytest.mark.parametrize("make", SETS)
def test_what_is_no_file_is_named_in_one_line(sets, make, tmp_path_factory):
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
        read_coco.cache_clear()  # it knows the file by its state, which is as it was
        with pytest.raises(UserError, match=rf"{re.escape(str(path))}: cannot be read \(Permission denied\)"):
            check(opened())


@pytest.mark.parametrize("make", SETS)
def test_a_damaged_file_is_read_right_or_named_in_one_line(sets, make):
    root, opened = sets[make]

    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    @given(st.sampled_from(files_of(root)), st.data())
    def attempt(path, data):
        whole = path.read_bytes()
        path.write_bytes(spoiled(whole, data))
        try:
            read_or_refused(opened, path)
        finally:
            path.write_bytes(whole)

    attempt()
