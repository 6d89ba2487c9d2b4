"""Labels drawn as shapes: a LabelMe file per image, or one COCO file for all images.

A pixel belongs to a shape that contains its center. A shape that contains no center, such as a scratch
thinner than a pixel, marks the pixels that it touches. One that touches none is refused. Where shapes
overlap, the later one is on top.

Time and memory grow with the pixels and points of the shapes; the image itself says how large the label is.
"""

import functools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.data.example import Size
from train.data.files import nfc, read_bytes
from train.data.formats.outlines import OutsideError, draw
from train.errors import UserError

PREDICTED_COCO = "coco.json"
"""Name of the COCO file that `predict` writes."""
_MAX_PIXELS = 2**28
"""Largest label; a file may claim any size."""
_MAX_WORK = 2**32
"""Most pixels, in all shapes of an image together, that are looked at: some seconds of work."""

CheckSize = Callable[[Size], None]
"""Raises a UserError where the (height, width) that a file claims is not that of the image."""


def read_labelme(path: Path, classes: Sequence[str], check_size: CheckSize | None = None) -> np.ndarray:
    """Return the label in a LabelMe file, uint8 [h, w]: polygons, rectangles and circles, by class name.

    Args:
        path: of the file.
        classes: names by class id.
        check_size: called before any memory of the size that the file claims is taken.

    Raises:
        UserError: the file is not of LabelMe, or holds another kind of shape, one outside of the image, or an
            unknown class.
    """
    content = _read(path)
    with _refuse_unreadable(path, "LabelMe"):
        label = _empty(content["imageHeight"], content["imageWidth"], check_size)
        shapes = [
            (shape["label"], _outline(path, shape.get("shape_type", "polygon"), _points(shape["points"])))
            for shape in content["shapes"]
        ]
        work = 0
        for number, (name, outline) in enumerate(shapes, 1):
            k = _class_id(path, name, classes)
            work = _limited(work + _draw(label, outline, k, f"{path}: shape {number}, a {name},"))
    return label


def _outline(path: Path, kind: Any, points: np.ndarray) -> np.ndarray:
    """Return the vertices (x, y) of a shape of LabelMe.

    Raises:
        UserError: the shape is of another kind, of none, or has another number of points than its kind.
    """
    match kind, len(points):
        case "polygon", number if number > 0:
            return points
        case "rectangle", 4:
            return points
        case "rectangle", 2:
            (left, top), (right, bottom) = points
            return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        case "circle", 2:
            return points[0] + float(np.hypot(*(points[1] - points[0]))) * _circle()
        case None, _:
            raise UserError(
                f"{path}: holds a shape whose shape_type is null; write polygon, rectangle or circle there"
            )
        case "polygon" | "rectangle" | "circle", number:
            raise UserError(f"{path}: holds a {kind} of {number} points; draw it again")
    raise UserError(f"{path}: holds a {kind}; draw polygons, rectangles or circles")


class _Annotation(NamedTuple):
    """A shape in a COCO file."""

    text: str
    """Names the annotation in messages."""
    class_name: str
    segmentation: Any


class Coco:
    """A COCO file: the labels of many images."""

    def __init__(self, path: Path):
        """Read the whole file.

        Raises:
            UserError: the file is not of COCO, has an id or an image twice, or an annotation without an image
                or a shape.
        """
        self.path = path
        content = _read(path)
        with _refuse_unreadable(path, "COCO"):
            names: dict[Any, str] = {}
            for category in content["categories"]:
                name, key = category["name"], category["id"]
                self._check_id("category", key, names.setdefault(key, name), name)
            self._sizes: dict[str, tuple[Any, Any, Any]] = {}
            files: dict[Any, str] = {}
            for image in content["images"]:
                name, key = nfc(image["file_name"]), image["id"]
                if name in self._sizes:
                    raise UserError(f"{path}: has a file name twice in its images; keep one")
                self._check_id("image", key, files.setdefault(key, name), name)
                self._sizes[name] = image["height"], image["width"], key
            self._shapes: dict[Any, list[_Annotation]] = defaultdict(list)
            for k, annotation in enumerate(content["annotations"], 1):
                self._add(f"annotation {annotation.get('id', f'number {k}')}", annotation, files, names)

    def holds(self, file_name: str) -> bool:
        """Return whether the file lists an image."""
        return nfc(file_name) in self._sizes

    def annotated(self) -> list[str]:
        """Return the file names, in NFC, of the images with a shape."""
        return [name for name, (_, _, key) in self._sizes.items() if self._shapes.get(key)]

    def label(
        self, file_name: str, classes: Sequence[str], check_size: CheckSize | None = None
    ) -> np.ndarray:
        """Return the label of an image, uint8 [h, w]; all background without annotations.

        Args:
            file_name: of the image.
            classes: names by class id.
            check_size: called before any memory of the size that the file claims is taken.

        Raises:
            UserError: the image is not in the file, a class is unknown, or a shape cannot be read or lies
                outside of the image.
        """
        if not self.holds(file_name):
            raise UserError(
                f"{self.path}: has no image {file_name}; add it, remove the image, or, if images that are "
                "not listed show no defect, pass --data.missing-is-clean"
            )
        height, width, key = self._sizes[nfc(file_name)]
        with _refuse_unreadable(self.path, "COCO"):
            label, work = _empty(height, width, check_size), 0
            for annotation in self._shapes[key]:
                k = _class_id(self.path, annotation.class_name, classes)
                if isinstance(annotation.segmentation, Mapping):
                    rows, columns = self._decode(annotation, label.shape)
                    label[rows, columns] = k
                    work = _limited(work + len(rows))
                else:
                    for polygon in annotation.segmentation:
                        text = f"{self.path}: {annotation.text}"
                        work = _limited(work + _draw(label, _points(polygon), k, text))
        return label

    def _check_id(self, kind: str, key: Any, first: str, name: str) -> None:
        """Refuse an id that the file has for two names."""
        if first != name:
            raise UserError(
                f"{self.path}: has {kind} id {key!r} twice, for {first} and {name}; give each its own id"
            )

    def _add(
        self, text: str, annotation: Any, files: Mapping[Any, str], class_names: Mapping[Any, str]
    ) -> None:
        """Add an annotation to the shapes of its image.

        Raises:
            UserError: its image is not in the file, or it has no shape: some converters write a box alone.
        """
        name, image = class_names[annotation["category_id"]], annotation["image_id"]
        segmentation = annotation.get("segmentation")
        if image not in files:
            raise UserError(
                f"{self.path}: {text} is of image id {image!r}, which no image has; mend or remove it"
            )
        if not segmentation or (isinstance(segmentation, list) and not any(segmentation)):
            raise UserError(f"{self.path}: {text} has no segmentation; draw its outline, or remove it")
        self._shapes[image].append(_Annotation(text, name, segmentation))

    def _decode(self, annotation: _Annotation, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of the pixels of an annotation in run lengths.

        Raises:
            UserError: it is of another size than its image, or holds no pixel.
        """
        height, width = shape
        size = annotation.segmentation.get("size", [height, width])
        if size != [height, width]:
            raise UserError(
                f"{self.path}: {annotation.text} is of size {size} but its image of {[height, width]}, "
                "height first; export it again"
            )
        rows, columns = _decode_runs(annotation.segmentation["counts"], shape)
        if not len(rows):
            raise UserError(f"{self.path}: {annotation.text} holds no pixel; draw its outline, or remove it")
        return rows, columns


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


def _empty(height: Any, width: Any, check_size: CheckSize | None) -> np.ndarray:
    """Return a label of background alone, of a size that the image has."""
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height * width <= _MAX_PIXELS):
        raise ValueError(f"an image of {width}x{height} pixels")
    if check_size is not None:
        check_size((height, width))
    return np.zeros((height, width), np.uint8)


def _draw(label: np.ndarray, outline: np.ndarray, k: int, text: str) -> int:
    """Draw an outline, and return how many pixels were looked at; `text` names it in the message."""
    try:
        return draw(label, outline, k)
    except OutsideError as error:
        raise UserError(f"{text} lies outside of its image; move or remove it") from error


def _limited(work: int) -> int:
    """Return the pixels of the shapes so far, if they are not too many."""
    if work > _MAX_WORK:
        raise ValueError(f"shapes of {work} pixels in one image")
    return work


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


@functools.cache
def _circle() -> np.ndarray:
    """Return the vertices of a polygon that approximates a circle of radius 1."""
    angles = np.linspace(0, 2 * math.pi, 128, endpoint=False)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _decode_runs(counts: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the pixels that COCO's run lengths put inside a shape.

    The runs go down the columns and are alternately outside and inside.
    """
    runs = _decompress(counts) if isinstance(counts, str) else counts
    if min(runs, default=0) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError("run lengths that do not cover the image")
    lengths = np.array(runs)
    if lengths.dtype.kind != "i":
        raise ValueError("run lengths that are no whole numbers")
    ends, inside = np.cumsum(lengths)[1::2], lengths[1::2]
    within = np.arange(inside.sum()) - np.repeat(np.cumsum(inside) - inside, inside)
    columns, rows = np.divmod(np.repeat(ends - inside, inside) + within, shape[0])
    return rows, columns


_BITS = 65
"""Bits of the longest run length, in groups of five."""


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
        if shift > _BITS:
            raise ValueError("a run length of more than 64 bits")
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("run lengths that are cut off")
    return runs
