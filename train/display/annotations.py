"""Predictions as label tools open them: one COCO file for all images, or a LabelMe file for each.

Each connected defect is one polygon along the edges of its pixels; (0, 0) is the corner of the first pixel. A
hole is cut open, see `train.measures.contours`: in COCO a second polygon of an annotation is another part of
the object, not a hole.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.data.example import Size
from train.run.files import replacing


class Defect(NamedTuple):
    """A connected component of a defect class in a class map."""

    class_id: int
    class_name: str
    area: int
    """In pixels."""
    box: tuple[int, int, int, int]
    """Row and column of the first pixel of its bounding box, height and width."""
    probability: np.float32
    """Mean of the class over its pixels."""
    contour: np.ndarray
    """Corners (x, y) of its polygon, int [n, 2]."""


def write_labelme(file: Path, image: Path, size: Size, defects: Sequence[Defect]) -> None:
    """Write the LabelMe file of an image, whole or not at all.

    Args:
        file: a new file.
        image: the file of the image, named relative to the folder of the new file.
        size: height and width.
        defects: of the image.
    """
    shapes = [
        {
            "label": defect.class_name,
            "points": defect.contour.tolist(),
            "group_id": None,
            "description": f"probability {defect.probability:.3f}",
            "shape_type": "polygon",
            "flags": {},
        }
        for defect in defects
    ]
    content = {
        "version": "5.0.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": _relative(image, file.parent),
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
    with replacing(file) as stream:
        stream.write(json.dumps(content).encode())


def _relative(image: Path, folder: Path) -> str:
    """Return the path of an image from a folder, with slashes; its own path from another drive."""
    image = image.resolve()
    try:
        return Path(os.path.relpath(image, folder.resolve())).as_posix()
    except ValueError:
        return image.as_posix()


AddImage = Callable[[str, Size, Sequence[Defect]], None]
"""Adds an image to a COCO file: its name, its height and width, and its defects."""


@contextlib.contextmanager
def coco_file(file: Path, class_names: Sequence[str]) -> Iterator[AddImage]:
    """Yield a function that adds an image to a new COCO file, which appears at the end of the context.

    After an error or a kill there is none. Annotations are written image by image; of the images, the names
    are kept in memory.

    Args:
        file: a new file.
        class_names: the background first, which is no category; the id of a category is that of its class.
    """
    categories = json.dumps([{"id": k, "name": name} for k, name in enumerate(class_names) if k])
    images: list[dict[str, Any]] = []
    ids = itertools.count(1)
    with replacing(file) as stream:
        stream.write(f'{{"info": {{}}, "licenses": [], "categories": {categories}, "annotations": ['.encode())

        def add(name: str, size: Size, defects: Sequence[Defect]) -> None:
            height, width = size
            images.append({"id": len(images) + 1, "file_name": name, "height": height, "width": width})
            for defect in defects:
                number = next(ids)
                annotation = _annotation(number, len(images), defect)
                stream.write(f"{',' if number > 1 else ''}\n{json.dumps(annotation)}".encode())

        yield add
        stream.write(f'\n], "images": {json.dumps(images)}}}\n'.encode())


def _annotation(number: int, image: int, defect: Defect) -> dict[str, Any]:
    """Return the annotation of a defect; `number` is its id, `image` that of its image."""
    top, left, height, width = defect.box
    return {
        "id": number,
        "image_id": image,
        "category_id": defect.class_id,
        "segmentation": [defect.contour.ravel().tolist()],
        "area": defect.area,
        "bbox": [left, top, width, height],
        "iscrowd": 0,
        "score": float(defect.probability),
    }
