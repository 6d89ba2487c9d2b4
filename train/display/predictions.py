"""The files that `predict` writes for each image.

    NAME.png                 the class of each pixel, as its value
    NAME_overlay.png         the image with its classes drawn over it
    images.csv               scores of each image: the probability that it shows a defect, and each class
    components.csv           if wanted, one line per connected defect; both tables as .jsonl, if wanted
    coco.json                if wanted, all connected defects as polygons, once all images are done
    NAME.json                if wanted, those of the image for LabelMe; a file that exists is kept
    NAME_probabilities.npz   if wanted, the probability of each class

The tables lie in the output folder itself, the other files in the subfolder of their image. An image is done
when its line is in images.csv; interruptions leave finished images as they are.
"""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.csv_files import csv_writer
from train.data.formats.polygons import PREDICTED_COCO
from train.display.annotations import Defect, coco_file, write_labelme
from train.display.columns import distinct_columns
from train.display.pictures import overlay
from train.errors import ANOTHER_OUT, writing
from train.measures.components import find_components
from train.measures.contours import trace_contours

_IMAGE_COLUMNS = ("image", "score")
"""Columns of images.csv, before those of the defect classes."""
_COMPONENT_COLUMNS = ("image", "class", "area", "top", "left", "height", "width", "probability")
"""Columns of components.csv."""
_NO_CONTOUR = np.empty((0, 2), int)


@dataclass(frozen=True)
class PredictionFiles:
    """What is written beside class maps, overlays and images.csv."""

    probabilities: bool = False
    """Write NAME_probabilities.npz: `probabilities` float16 [height, width, classes], and `classes`."""
    components: bool = False
    """Write components.csv: class, area, box and mean probability of each connected defect."""
    json: bool = False
    """Write the tables as .jsonl, one object per line, in place of .csv."""
    coco: bool = False
    """Write coco.json, once all images are done: each connected defect as a polygon, for label tools."""
    labelme: bool = False
    """Write NAME.json: the connected defects of an image as polygons, for LabelMe. A file that exists is
    kept."""

    @property
    def longest_ending(self) -> str:
        """The longest that a file name has after the name of the image."""
        return "_probabilities.npz" if self.probabilities else "_overlay.png"


Write = Callable[[Mapping[str, Any], np.ndarray, np.ndarray], None]
"""Writes the files of an image (`image`, `name`, `path`): its classes uint8 [h, w], its probabilities [h, w,
classes]."""


@contextlib.contextmanager
def prediction_writer(out: Path, class_names: Sequence[str], files: PredictionFiles) -> Iterator[Write]:
    """Yield a function that writes the files of an image into a folder.

    Args:
        out: the folder.
        class_names: the background first.
        files: what is written.

    Raises:
        UserError: the folder cannot be written.
    """

    def write(image: Mapping[str, Any], classes: np.ndarray, probabilities: np.ndarray) -> None:
        target, size = out / f"{image['name']}.png", (classes.shape[0], classes.shape[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(classes).save(target)
        Image.fromarray(overlay(image["image"], classes)).save(target.with_name(f"{target.stem}_overlay.png"))
        if files.probabilities:
            np.savez_compressed(
                target.with_name(f"{target.stem}_probabilities.npz"),
                probabilities=probabilities.astype(np.float16),
                classes=np.array(class_names),
            )
        if add_component is not None:
            for defect in _find_defects(classes, probabilities, class_names, contours=False):
                row = (defect.class_name, defect.area, *defect.box, defect.probability)
                add_component([image["name"], *row])
        if files.coco or files.labelme:
            traced = list(_find_defects(classes, probabilities, class_names, contours=True))
            if files.labelme and not (labels := target.with_suffix(".json")).exists():
                write_labelme(labels, image["path"], size, traced)
            if add_to_coco is not None:
                add_to_coco(f"{image['name']}{image['path'].suffix}", size, traced)
        highest = probabilities[..., 1:].max((0, 1))
        add_image([image["name"], 1 - probabilities[..., 0].min(), *highest])

    # A table is closed inside of `writing`: what a full disk has left in its buffer fails there once more.
    with writing(f"{out}", ANOTHER_OUT), contextlib.ExitStack() as tables:
        out.mkdir(parents=True, exist_ok=True)
        table = _json_lines if files.json else _csv_table
        columns = [*_IMAGE_COLUMNS, *distinct_columns("class", class_names[1:], _IMAGE_COLUMNS)]
        add_image = tables.enter_context(table(out / "images", columns))
        add_component = add_to_coco = None
        if files.components:
            add_component = tables.enter_context(table(out / "components", _COMPONENT_COLUMNS))
        if files.coco:
            add_to_coco = tables.enter_context(coco_file(out / PREDICTED_COCO, class_names))
        yield write


@contextlib.contextmanager
def _csv_table(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[Any]], Any]]:
    """Yield a function that appends a row to a new CSV file and flushes it; `path` lacks the suffix."""
    # File names may hold bytes that are no text; surrogateescape writes them unchanged.
    with path.with_suffix(".csv").open(
        "w", buffering=1, encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        add = csv_writer(file)
        add(columns)
        yield add


@contextlib.contextmanager
def _json_lines(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[Any]], Any]]:
    """Yield a function that appends a row as an object to a new JSON Lines file; `path` lacks the suffix."""
    with path.with_suffix(".jsonl").open("w", buffering=1, encoding="utf-8") as file:

        def add(row: Sequence[Any]) -> None:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), default=float) + "\n")

        yield add


def _find_defects(
    classes: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], *, contours: bool
) -> Iterator[Defect]:
    """Yield the connected defects of an image, with their contours if wanted."""
    for label, name in enumerate(class_names[1:], 1):  # one at a time, for the memory of many boxes
        components = find_components(classes, [label])
        means = (components.sums(probabilities[..., label]) / components.areas).astype(np.float32)
        polygons = trace_contours(components) if contours else itertools.repeat(_NO_CONTOUR)
        # No variable holds the boxes of one class while those of the next are made.
        for area, (y, x), mean, polygon in zip(
            components.areas, components.boxes(), means, polygons, strict=False
        ):
            box = (y.start, x.start, y.stop - y.start, x.stop - x.start)
            yield Defect(label, name, int(area), box, mean, polygon)
