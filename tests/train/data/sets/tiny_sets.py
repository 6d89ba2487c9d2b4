"""Every data set with a handful of images, in the layout of its files; each function writes one set."""

import csv
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.train.data.image_files import pages, save, tiff
from train.data.builder import SegmentationBuilder
from train.data.sets.folder import Folder
from train.data.sets.kolektor_sdd import KolektorSDDBuilder
from train.data.sets.kolektor_sdd2 import KolektorSDD2Builder
from train.data.sets.magnetic_tile import FOLDERS, MagneticTileBuilder
from train.data.sets.neu_seg import NeuSegBuilder
from train.data.sets.severstal import SeverstalBuilder
from train.data.sets.topomortar import TopoMortarBuilder

HEIGHT, WIDTH = 6, 8
LABEL = np.zeros((HEIGHT, WIDTH), np.uint8)
LABEL[:2, :3] = 1

Open = Callable[[], SegmentationBuilder]
"""Makes the builder of a written set."""


def save_photograph(path: Path, seed: int, color: bool = False) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    save(Image.fromarray(pixels if color else pixels[..., 0]), path)


def folder(root: Path, **options: Any) -> Open:
    """Write four images in four formats, and return the builder; the caller writes label images."""
    for k, ending in enumerate(("jpg", "png", "bmp", "tif")):
        save_photograph(root / f"images/{k}.{ending}", k, color=k > 1)
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


def folder_of_colors(root: Path) -> Open:
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
        save_photograph(root / f"NEU_Seg/images/{name}.jpg", seed)
        save(Image.fromarray(LABEL * (seed % 4)), root / f"NEU_Seg/annotations/{name}.png")
    return lambda: NeuSegBuilder("grouped", table, data_dir=root / "prepared", source=root)


def magnetic_tile(root: Path) -> Open:
    table = {f"{folder}/exp1_num_{k}": f"{k}" for k, folder in enumerate(FOLDERS)}
    for k, name in enumerate(table):
        path = root / "Magnetic-tile-defect-datasets." / name.replace("/", "/Imgs/")
        save_photograph(path.with_suffix(".jpg"), k)
        save(Image.fromarray(LABEL * (255 if k else 0)), path.with_suffix(".png"))
    return lambda: MagneticTileBuilder(table, data_dir=root / "prepared", source=root)


def kolektor_sdd(root: Path) -> Open:
    for item in (1, 2, 5):
        save_photograph(root / f"KolektorSDD/kos{item:02}/Part0.jpg", item)
        save(Image.fromarray(LABEL * 255), root / f"KolektorSDD/kos{item:02}/Part0_label.bmp")
    with_pickles(root / "KolektorSDD")
    return lambda: KolektorSDDBuilder("grouped", 0, data_dir=root / "prepared", source=root)


def kolektor_sdd2(root: Path) -> Open:
    for number in (10000, 10001, 20000):
        name = f"KolektorSDD2/{'train' if number < 20000 else 'test'}/{number}"
        save_photograph(root / f"{name}.png", number, color=True)
        save(Image.fromarray(LABEL * 255), root / f"{name}_GT.png")
    with_pickles(root / "KolektorSDD2")
    return lambda: KolektorSDD2Builder(data_dir=root / "prepared", source=root)


def severstal(root: Path) -> Open:
    source = root / "severstal-steel-defect-detection"
    for k in range(4):
        save_photograph(source / f"train_images/{k}.jpg", k)
    rows = [
        ("ImageId", "ClassId", "EncodedPixels"),
        ("0.jpg", 1, "1 2 8 1"),
        ("0.jpg", 3, "20 4"),
        ("1.jpg", 4, "48 1"),
    ]
    with (source / "train.csv").open("w") as file:
        csv.writer(file).writerows(rows)
    return lambda: SeverstalBuilder(0, data_dir=root / "prepared", source=root)


def topomortar(root: Path) -> Open:
    names = {"train": ["train/001", "train/002"], "validation": ["val/051"], "test": ["test/071"]}
    for part, images in names.items():
        for seed, name in enumerate(images):
            save_photograph(root / f"topomortar/images/{name}.jpg", seed, color=True)
            kind = "noisy" if part == "train" else "accurate"
            save(Image.fromarray(LABEL > 0), root / f"topomortar/{kind}/{name}.png")
    return lambda: TopoMortarBuilder("noisy", "accurate", names, data_dir=root / "prepared", source=root)


SETS = (
    folder_of_ids, folder_of_black_and_white, folder_of_colors, folder_of_labelme, folder_of_coco,
    folder_of_many_channels, neu_seg, magnetic_tile, kolektor_sdd, kolektor_sdd2, severstal,
    topomortar,
)  # fmt: skip


@dataclass
class Bomb:
    """Makes a folder when its pickle is loaded."""

    file: str

    def __reduce__(self):
        return os.mkdir, (self.file,)


def with_pickles(root: Path) -> None:
    """Write split files as published with both Kolektor sets, here with a pickle that acts when loaded."""
    for name in ("split.pyb", "train/split_0.pyb", "splits/split_weakly_0.pyb"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(pickle.dumps(Bomb("executed")))
