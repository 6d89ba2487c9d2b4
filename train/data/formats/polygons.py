"""Labels drawn as shapes: a LabelMe file per image, or one COCO file for all images.

A pixel belongs to a shape that contains its center; where shapes overlap, the later one is on top.
"""

import functools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.path import Path as Outline

from train.data.files import read_bytes
from train.errors import UserError

_MAX_PIXELS = 2**28
"""Largest label; a file may claim any size."""


def read_labelme(path: Path, classes: Sequence[str]) -> np.ndarray:
    """Return the label in a LabelMe file, uint8 [h, w]: polygons, rectangles and circles, by class name.

    Raises:
        UserError: the file is not of LabelMe, or holds another kind of shape or an unknown class.
    """
    content = _read(path)
    with _refuse_unreadable(path, "LabelMe"):
        label = _empty(content["imageHeight"], content["imageWidth"])
        shapes = [
            (
                shape["label"],
                shape.get("shape_type", "polygon"),
                _points(shape["points"]),
            )
            for shape in content["shapes"]
        ]
        for name, kind, points in shapes:
            if kind == "rectangle" and len(points) == 2:
                (left, top), (right, bottom) = points
                points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
            elif kind == "circle" and len(points) == 2:
                radius = float(np.hypot(*(points[1] - points[0])))
                points = points[0] + radius * _circle()
            elif kind != "polygon":
                raise UserError(f"{path}: holds a {kind}; draw polygons, rectangles or circles")
            label[_inside(points, label.shape)] = _class_id(path, name, classes)
    return label


class Coco:
    """A COCO file: the labels of many images."""

    def __init__(self, path: Path):
        """Read the whole file.

        Raises:
            UserError: the file is not of COCO, or has an image twice.
        """
        self.path = path
        content = _read(path)
        with _refuse_unreadable(path, "COCO"):
            names = {category["id"]: category["name"] for category in content["categories"]}
            self._sizes = {
                image["file_name"]: (image["height"], image["width"], image["id"])
                for image in content["images"]
            }
            number = len(content["images"])
            self._shapes: dict[Any, list[tuple[str, Any]]] = defaultdict(list)
            for annotation in content["annotations"]:
                shape = names[annotation["category_id"]], annotation["segmentation"]
                self._shapes[annotation["image_id"]].append(shape)
        if len(self._sizes) < number:
            raise UserError(f"{path}: has a file name twice in its images; keep one")

    def label(self, file_name: str, classes: Sequence[str]) -> np.ndarray:
        """Return the label of an image, uint8 [h, w]; all background without annotations.

        Raises:
            UserError: the image is not in the file, a class is unknown, or a shape cannot be read.
        """
        if file_name not in self._sizes:
            raise UserError(f"{self.path}: has no image {file_name}; add it, or remove the file")
        height, width, key = self._sizes[file_name]
        with _refuse_unreadable(self.path, "COCO"):
            label = _empty(height, width)
            for name, segmentation in self._shapes[key]:
                k = _class_id(self.path, name, classes)
                if isinstance(segmentation, Mapping):
                    label[_decode_runs(segmentation["counts"], label.shape)] = k
                else:
                    for polygon in segmentation:
                        label[_inside(_points(polygon), label.shape)] = k
        return label


@contextmanager
def _refuse_unreadable(path: Path, kind: str) -> Iterator[None]:
    """Turn the errors over the content of a file into a UserError."""
    try:
        with np.errstate(over="raise", invalid="raise"):
            yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise UserError(f"{path}: is not understood as a {kind} file ({problem}); export it again") from error


def _read(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is no JSON file ({error}); export it again") from error


def _empty(height: Any, width: Any) -> np.ndarray:
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height * width <= _MAX_PIXELS):
        raise ValueError(f"an image of {width}x{height} pixels")
    return np.zeros((height, width), np.uint8)


def _class_id(path: Path, name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        raise UserError(
            f"{path}: class {name!r} is not in --data.classes {' '.join(classes)}; add or rename it"
        )
    return classes.index(name)


def _points(values: Any) -> np.ndarray:
    """Return points (x, y), given as pairs or as a flat list, as float64 [n, 2]."""
    points = np.array(values, float).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise ValueError("a point that is not finite")
    return points


def _inside(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels whose center lies in a polygon of points (x, y), bool [h, w]; (0, 0) is a corner."""
    inside = np.zeros(shape, bool)
    if len(points) < 3:
        return inside
    low = np.clip(np.floor(points.min(0)), 0, shape[::-1]).astype(int)
    high = np.clip(np.ceil(points.max(0)), 0, shape[::-1]).astype(int)
    if (high <= low).any():
        return inside
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    contained = Outline(points, closed=False).contains_points(np.column_stack([x.ravel(), y.ravel()]))
    inside[low[1] : high[1], low[0] : high[0]] = contained.reshape(x.shape)
    return inside


@functools.cache
def _circle() -> np.ndarray:
    """Return the vertices of a polygon that approximates a circle of radius 1."""
    angles = np.linspace(0, 2 * math.pi, 128, endpoint=False)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _decode_runs(counts: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Decode COCO's run lengths to bool [h, w]: down the columns, alternately outside and inside a shape."""
    runs = _decompress(counts) if isinstance(counts, str) else counts
    if min(runs, default=0) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError("run lengths that do not cover the image")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(shape[::-1]).T


def _decompress(text: str) -> list[int]:
    """Decompress COCO's run lengths.

    A number is written in characters of five bits from "0" on, the lowest first, with a sixth bit where more
    characters follow; from the fourth number on, as the difference from the number two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("run lengths that are cut off")
    return runs
