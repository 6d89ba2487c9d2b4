"""Label files of every format, damaged at random: refused in one line or read right, if the format allows."""

import collections
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.batteries.answers import PROCESSES, ROOT, answer, check_as_processes
from train.data.formats.label_images import read_colors, read_ids, read_threshold
from train.data.formats.polygons import Coco, read_labelme
from train.errors import UserError

CLASSES = ("background", "scratch", "pit")
HEIGHT, WIDTH = 24, 32
COLORS = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]
IDS = np.zeros((HEIGHT, WIDTH), np.uint8)
IDS[2:9, 3:20] = 1
IDS[12:20, 8:12] = 2
SHAPES = [("scratch", (3, 2, 20, 9)), ("pit", (8, 12, 12, 20))]
FILES = 300
FOLDER = ROOT / "configs" / "folder.py"
UNCHECKED = "other pixels, where the format has no checksum"


class Form(NamedTuple):
    """A format of label files."""

    content: bytes
    """A whole file."""
    read: Callable[[Path], np.ndarray]
    sums: range = range(0)
    """The bytes that checksums cover: all of a PNG, and the pixels of a TIFF that deflate compresses."""


def image(pixels: np.ndarray, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def palette() -> bytes:
    picture = Image.fromarray(IDS, "L").convert("P")
    picture.putdata(IDS.ravel().tolist())
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def outline(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def labelme() -> bytes:
    shapes = [{"label": name, "points": outline(*box), "shape_type": "polygon"} for name, box in SHAPES]
    return json.dumps({"imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes}).encode()


def coco(*, runs: bool) -> bytes:
    annotations = []
    for k, (name, box) in enumerate(SHAPES):
        segmentation: object = [np.ravel(outline(*box)).tolist()]
        if runs:
            flat = np.equal(IDS.T, CLASSES.index(name)).ravel()
            edges = np.flatnonzero(np.diff(flat)) + 1
            segmentation = {
                "counts": np.diff(np.array([0, *edges, flat.size])).tolist(),
                "size": [HEIGHT, WIDTH],
            }
        annotations.append({"id": k, "image_id": 7, "category_id": 3 + k, "segmentation": segmentation})
    categories = [{"id": 3 + k, "name": name} for k, (name, _) in enumerate(SHAPES)]
    images = [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}]
    return json.dumps({"images": images, "categories": categories, "annotations": annotations}).encode()


def ids(path: Path) -> np.ndarray:
    return read_ids(path, CLASSES, 255)


def colors(path: Path) -> np.ndarray:
    return read_colors(path, COLORS, void=len(CLASSES))


def threshold(path: Path) -> np.ndarray:
    return read_threshold(path, 127)


def of_coco(path: Path) -> np.ndarray:
    return Coco(path).label("a.png", CLASSES)


def strip(tiff: bytes) -> range:
    """The bytes of the pixels of a TIFF."""
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        first = file.pages.first
        return range(first.dataoffsets[0], first.dataoffsets[0] + first.databytecounts[0])


EVERYWHERE = range(10**6)
DEFLATED = image(IDS, "TIFF", compression="tiff_deflate")
WHITE = np.where(IDS > 0, 255, 0).astype(np.uint8)
FORMS = {
    "PNG, ids": Form(image(IDS, "PNG"), ids, EVERYWHERE),
    "PNG, palette": Form(palette(), ids, EVERYWHERE),
    "PNG, colors": Form(image(np.array(COLORS, np.uint8)[IDS], "PNG"), colors, EVERYWHERE),
    "PNG, black and white": Form(image(WHITE, "PNG"), threshold, EVERYWHERE),
    "TIFF, deflate": Form(DEFLATED, ids, strip(DEFLATED)),
    "TIFF": Form(image(IDS, "TIFF"), ids),
    "BMP": Form(image(IDS, "BMP"), ids),
    "JPEG, black and white": Form(image(WHITE, "JPEG", quality=95), threshold),
    "LabelMe": Form(labelme(), lambda path: read_labelme(path, CLASSES)),
    "COCO, polygons": Form(coco(runs=False), of_coco),
    "COCO, run lengths": Form(coco(runs=True), of_coco),
}


def damaged(content: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Return a file with a bit flipped, bytes changed, inserted, left out or cut off; and the place."""
    place, length = rng.randrange(len(content)), rng.randint(1, 8)
    kinds = {
        "flipped": content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :],
        "changed": content[:place] + rng.randbytes(length) + content[place + length :],
        "inserted": content[:place] + rng.randbytes(length) + content[place:],
        "left out": content[:place] + content[place + length :],
        "cut off": content[:place],
    }
    return kinds[rng.choice(list(kinds))], place


def outcome(form: Form, path: Path, place: int) -> str:
    try:
        label = form.read(path)
    except UserError as error:
        message = str(error)
        return "refused in a line" if message.startswith(f"{path}: ") and message.isprintable() else message
    expected = WHITE > 0 if form.read is threshold else IDS
    if label.shape == expected.shape and (label == expected).all():
        return "right"
    return "other pixels, without a word" if place in form.sums else UNCHECKED


FOLDERS = {
    "PNG, ids": ("masks/0.png", "masks"),
    "TIFF, deflate": ("masks/0.tif", "masks"),
    "BMP": ("masks/0.bmp", "masks"),
    "LabelMe": ("masks/0.json", "masks"),
    "COCO, polygons": ("coco.json", "coco.json"),
}
"""Where the label file of some formats lies in a folder of images, and the value of --data.masks."""


def as_command(name: str, content: bytes, folder: Path) -> list[str]:
    """A command on a folder with one image and a damaged label file."""
    file, masks = FOLDERS[name]
    for inner in ("images", "masks"):
        (folder / inner).mkdir(parents=True)
    Image.fromarray(IDS).save(folder / "images" / ("a.png" if name.startswith("COCO") else "0.png"))
    (folder / file).write_bytes(content)
    classes = ["--data.classes", *CLASSES]
    return [
        *("prepare", str(FOLDER), "--data.images", str(folder / "images"), *classes),
        *("--data.masks", str(folder / masks), "--data-dir", str(folder / "prepared")),
    ]


@pytest.mark.slow
def test_damaged_label_files(tmp_path, capfd):
    rng, path = random.Random(0), tmp_path / "label"
    counts = {name: collections.Counter[str]() for name in FORMS}
    for name, form in FORMS.items():
        path.write_bytes(form.content)
        assert outcome(form, path, 0) == "right", name
    refused = []
    for k in range(FILES):
        name = list(FORMS)[k % len(FORMS)]
        content, place = damaged(FORMS[name].content, rng)
        path.write_bytes(content)
        what = outcome(FORMS[name], path, place)
        counts[name][what] += 1
        if what == "refused in a line" and name in FOLDERS:
            refused.append(as_command(name, content, path.with_name(f"{k}")))
    with capfd.disabled():
        print(f"\n{FILES} damaged label files")
        for name, counted in counts.items():
            print(f"{name}: {dict(counted)}")
    known = {"refused in a line", "right", UNCHECKED}
    assert {what for counted in counts.values() for what in counted} <= known
    check_as_processes(
        [(line, answer(line, capfd)) for line in rng.sample(refused, PROCESSES)], tmp_path, rng
    )
