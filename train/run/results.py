"""Small files of an evaluation that comparisons read: counts of each image, and label maps of a few images.

image_counts.csv  confusion counts of each image and class, under both decision rules
label_maps/       predictions on a few images, the same images in every run on the data
"""

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from balanced_jax.metrics import ConfusionCounts
from train.csv_files import csv_writer, read_csv
from train.errors import MAKE_ROOM, writing
from train.parallel import is_first_host
from train.paths import AnyPath
from train.run.files import read_text, reading, write_text

LABEL_MAPS = 6
"""Number of images whose label maps are kept."""

_KEPT = ("config.json", "metrics.jsonl", "evaluation.json", "image_counts.csv")
"""Results of a run that are kept besides its label maps."""

_COUNTS = ConfusionCounts._fields
_COLUMNS = ("image", "group", "class", *_COUNTS, *(f"decided_{count}" for count in _COUNTS))


@dataclass(frozen=True)
class ImageCounts:
    """Confusion counts of each image of one part."""

    images: tuple[str, ...]
    """Names."""
    groups: tuple[str, ...]
    """Images of one group show the same item and are not independent."""
    classes: tuple[str, ...]
    """Names by class id, the background first."""
    most_probable: ConfusionCounts
    """Of the most probable classes, int64 [images, classes] each."""
    decided: ConfusionCounts
    """Under decision thresholds and minimum areas, int64 [images, classes] each."""


def write_image_counts(run_dir: AnyPath, counts: ImageCounts) -> None:
    """Write image_counts.csv, a line for each image and class."""
    file = io.StringIO()
    write = csv_writer(file)
    write(_COLUMNS)
    numbers = np.stack([*counts.most_probable, *counts.decided], -1).tolist()
    for image, group, rows in zip(counts.images, counts.groups, numbers, strict=True):
        for name, row in zip(counts.classes, rows, strict=True):
            write([image, group, name, *row])
    write_text(run_dir / "image_counts.csv", file.getvalue())


def read_image_counts(run_dir: AnyPath) -> ImageCounts:
    """Return the counts that image_counts.csv holds.

    Raises:
        UserError: the file is damaged.
    """
    file = run_dir / "image_counts.csv"
    text = read_text(file)
    with reading(file):
        header, *rows = read_csv(text)
        if tuple(header) != _COLUMNS or not rows:
            raise ValueError("has other columns, or no rows")
        if not text.endswith("\n"):
            raise ValueError("is cut off")
        classes = tuple(dict.fromkeys(row[2] for row in rows))
        numbers = np.array([row[3:] for row in rows], np.int64).reshape(-1, len(classes), 2, len(_COUNTS))
        if numbers.min() < 0:
            raise ValueError("has negative counts")
        for start in range(0, len(rows), len(classes)):
            (image, group, _, *_), *others = rows[start : start + len(classes)]
            if [row[:3] for row in others] != [[image, group, name] for name in classes[1:]]:
                raise ValueError(f"lacks a row of the image {image}")
    first = rows[:: len(classes)]
    most_probable, decided = (ConfusionCounts(*np.moveaxis(numbers[..., k, :], -1, 0)) for k in range(2))
    images, groups = (tuple(row[column] for row in first) for column in range(2))
    return ImageCounts(images, groups, classes, most_probable, decided)


def pictured(present: Sequence[Sequence[int]]) -> list[int]:
    """Return the positions of the images whose label maps are kept: spread evenly over those with a defect.

    Args:
        present: class ids in the label of each image.
    """
    defective = [i for i, classes in enumerate(present) if any(classes)]
    number = min(LABEL_MAPS, len(defective))
    return [defective[i * len(defective) // number] for i in range(number)]


def remove_evaluation(run_dir: AnyPath) -> None:
    """Remove evaluation.json, without which a run counts as not evaluated, and the label maps.

    Raises:
        UserError: a file cannot be removed.
    """
    if is_first_host():
        with writing(f"{run_dir}", MAKE_ROOM):
            for path in (run_dir / "evaluation.json", *(run_dir / "label_maps").glob("*.png")):
                path.unlink(missing_ok=True)


def write_label_map(run_dir: AnyPath, position: int, encoded: bytes) -> None:
    """Write the predicted class ids of the image at a position of the part, a PNG file."""
    if not is_first_host():
        return
    folder = run_dir / "label_maps"
    with writing(f"{folder}", MAKE_ROOM):
        folder.mkdir(exist_ok=True)
        (folder / f"{position:05}.png").write_bytes(encoded)


def read_label_maps(run_dir: AnyPath) -> dict[int, np.ndarray]:
    """Return the label maps of a run, uint8 [h, w], by the position of their image in the part.

    Raises:
        UserError: a file is damaged.
    """
    maps = {}
    for path in sorted((run_dir / "label_maps").glob("*.png")):
        with reading(path):
            try:
                with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
                    classes = np.asarray(image)
            except (SyntaxError, Image.DecompressionBombError, OSError, zlib.error) as error:
                raise ValueError(f"cannot be read ({error})") from error
            if classes.ndim != 2 or classes.dtype != np.uint8:
                raise ValueError("is no map of class ids")
            maps[int(path.stem)] = classes
    return maps


def keep_results(run_dir: AnyPath, folder: AnyPath) -> None:
    """Copy the small results of a run into a folder of their own."""
    if not is_first_host():
        return
    with writing(f"{folder}", MAKE_ROOM):
        (folder / "label_maps").mkdir(parents=True, exist_ok=True)
        for path in (*(run_dir / name for name in _KEPT), *(run_dir / "label_maps").glob("*.png")):
            (folder / path.relative_to(run_dir)).write_bytes(path.read_bytes())
