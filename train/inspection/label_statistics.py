"""Statistics of the labels of a data set, and the options that suit them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from train.config import Config, Term
from train.data.example import PARTS, VOID, Size
from train.data.prepare import Prepared
from train.data.resize import resized_label
from train.inspection.class_sums import (
    class_sums,
    class_weights,
    confusion,
    mean_over_images,
    rescale_confusion,
)
from train.inspection.recommendations import (
    Recommendations,
    recommend_beta,
    recommend_crop,
    recommend_injection,
    recommend_objective,
    recommend_window,
)
from train.measures.components import class_boxes, find_components
from train.run.log import progress
from train.training.objective import find_option

_BETAS = (0.0, 0.5, 0.75, 0.9, 0.99, 0.999)
_WINDOWS = (3, 5, 7, 9, 15)
_PERCENTILES = (5, 50, 95)

Percentiles = tuple[float, float, float]
"""5th, 50th and 95th percentile."""


@dataclass(frozen=True)
class PartStatistics:
    """One part of the data set."""

    images: int
    """Images of the part."""
    defective: int
    """Images that show a defect."""


@dataclass(frozen=True)
class SizeStatistics:
    """Heights and widths of the images."""

    smallest: tuple[int, int]
    """Smallest height and smallest width."""
    median: tuple[float, float]
    """Median height and width."""
    largest: tuple[int, int]
    """Largest height and largest width."""
    distinct: int
    """Number of different sizes."""


@dataclass(frozen=True)
class ComponentStatistics:
    """The connected components of a class, in pixels."""

    number: int
    """Number of components."""
    area: Percentiles
    """Pixels of a component."""
    width: Percentiles
    """Twice the largest distance to the outside, less one: the thickness of a line if that is odd, else the
    thickness less one."""
    extent: Percentiles
    """The longer side of the bounding box."""


@dataclass(frozen=True)
class ClassStatistics:
    """One class, over all parts at the size of the files."""

    images: int
    """Images that show the class."""
    image_ratio: float
    """Fraction of the images that show the class."""
    pixel_ratio: float
    """Fraction of the labeled pixels."""
    mean_in_images: float | None
    """Mean fraction of the labeled pixels in images that show the class."""
    boundary_fraction: float | None
    """Fraction of the pixels of the class that lie on a boundary."""
    components: ComponentStatistics | None
    """None for the background, and for a class that no image shows."""


@dataclass(frozen=True)
class ClassWeighting:
    """Masks over one class of the training part: means over its pixels in an image, then over images."""

    weight: dict[str, float | None]
    """Mean class weight, by beta."""
    mask: dict[str, float | None]
    """Mean confusion mask, by window."""
    rescaled: dict[str, float | None]
    """Mean confusion mask, rescaled as in `train.inspection.muting`, by window."""


@dataclass(frozen=True)
class InputStatistics:
    """The training part at the size of the input of the network."""

    size: Size | None
    """Height and width; None for the size of the files."""
    beta: float | None
    """Beta of the config; None where the config has no single beta."""
    window: int | None
    """Window of the config; None where the config has none."""
    classes: dict[str, ClassWeighting]
    """By class."""


@dataclass(frozen=True)
class LabelStatistics:
    """The labels of a data set, as statistics.json holds them; dictionaries are by part or class name."""

    parts: dict[str, PartStatistics]
    """By part."""
    sizes: SizeStatistics
    """Sizes of the images of all parts."""
    boundary_fraction: float
    """Fraction of the labeled pixels with a 4-neighbor of another class."""
    classes: dict[str, ClassStatistics]
    """By class."""
    at_input_size: InputStatistics
    """The training part as the network sees it."""
    recommended: Recommendations
    """What suits these labels."""


def label_statistics(data: Prepared, config: Config) -> LabelStatistics:
    """Measure the labels of a data set.

    Args:
        data: the set.
        config: its input size, beta and window are used.
    """
    boundary_fraction, classes = _at_file_size(data)
    at_input_size, recommended = _at_input_size(data, config)
    sizes = [size for part in PARTS for size in data.parts[part].sizes]
    smallest, median, largest = (tuple(f(sizes, axis=0).tolist()) for f in (np.min, np.median, np.max))
    return LabelStatistics(
        parts={
            part: PartStatistics(len(data.parts[part]), sum(data.parts[part].defective)) for part in PARTS
        },
        sizes=SizeStatistics(smallest, median, largest, len(set(sizes))),
        boundary_fraction=boundary_fraction,
        classes=classes,
        at_input_size=at_input_size,
        recommended=recommended,
    )


class _Measurements(NamedTuple):
    """Connected components, one entry each; lengths are in pixels."""

    labels: np.ndarray
    """Class ids."""
    areas: np.ndarray
    widths: np.ndarray
    extents: np.ndarray

    def of_class(self, label: int) -> "_Measurements":
        """Return the components of one class."""
        return _Measurements(*(values[self.labels == label] for values in self))

    def statistics(self) -> ComponentStatistics:
        def percentiles(values: np.ndarray) -> Percentiles:
            low, middle, high = np.percentile(values, _PERCENTILES).tolist()
            return low, middle, high

        return ComponentStatistics(
            len(self.areas), percentiles(self.areas), percentiles(self.widths), percentiles(self.extents)
        )


def _measure(label: np.ndarray, num_classes: int) -> _Measurements:
    """Measure the connected components of all classes but the background in a label."""
    components = find_components(label, range(1, num_classes))
    depths = np.zeros(1 + len(components.labels))
    for k, box in enumerate(class_boxes(label, num_classes - 1), 1):
        if box is not None:
            # Around each component lies no pixel of its class. Padded, so that the outside begins at the
            # edges of the box: a component that the frame of the image cuts is as wide as shown.
            depth: Any = ndimage.distance_transform_edt(np.pad(label[box] == k, 1))
            np.maximum.at(depths, components.numbers[box], depth[1:-1, 1:-1])
    extents = [max(r.stop - r.start, c.stop - c.start) for r, c in components.boxes()]
    return _Measurements(components.labels, components.areas, 2 * depths[1:] - 1, np.array(extents, int))


def _joined(measured: Iterable[_Measurements]) -> _Measurements:
    return _Measurements(*map(np.concatenate, zip(*measured, strict=True)))


def _at_file_size(data: Prepared) -> tuple[float, dict[str, ClassStatistics]]:
    """Return the boundary fraction and the classes of all parts."""
    num_classes = len(data.classes)
    pixels, boundary = [], np.zeros(num_classes, np.int64)
    measured = []
    for label in _labels(data, PARTS, None):
        pixels.append(np.bincount(label.ravel(), minlength=VOID + 1)[:num_classes])
        boundary += np.bincount(label[_on_boundary(label)], minlength=VOID + 1)[:num_classes]
        measured.append(_measure(label, num_classes))
    components = _joined(measured)
    counts = np.stack(pixels)
    labeled = np.maximum(counts.sum(1), 1)
    present = counts > 0

    def class_statistics(k: int) -> ClassStatistics:
        images = int(present[:, k].sum())
        fractions = (counts[:, k] / labeled)[present[:, k]]
        return ClassStatistics(
            images=images,
            image_ratio=images / len(counts),
            pixel_ratio=float(counts[:, k].sum() / labeled.sum()),
            mean_in_images=float(fractions.mean()) if images else None,
            boundary_fraction=float(boundary[k] / counts[:, k].sum()) if images else None,
            components=components.of_class(k).statistics() if k and images else None,
        )

    classes = {name: class_statistics(k) for k, name in enumerate(data.classes)}
    return float(boundary.sum() / labeled.sum()), classes


def _at_input_size(data: Prepared, config: Config) -> tuple[InputStatistics, Recommendations]:
    """Return the weights and masks of the training part, and the recommendations that follow."""
    size = config.input.size
    beta, window = (_configured(config.objective.values(), name) for name in ("beta", "window"))
    beta = beta if isinstance(beta, float) else None  # no single number where it is a Ramp
    betas = sorted({*_BETAS, *([] if beta is None else [beta])})
    windows = sorted({*_WINDOWS, *([] if window is None else [window])})
    measured = []

    def labels() -> Iterator[np.ndarray]:
        for label in _labels(data, ("train",), size):
            measured.append(_measure(label, len(data.classes)))
            yield label

    masks = (*(class_weights(b) for b in betas), *(confusion(w) for w in windows))
    pixels, *sums = class_sums(labels(), len(data.classes), masks)
    means = [mean_over_images(mask_sums, pixels) for mask_sums in sums]
    weight = dict(zip(betas, means[: len(betas)], strict=True))
    mask = dict(zip(windows, means[len(betas) :], strict=True))
    rescaled = {w: rescale_confusion(mean, len(data.classes)) for w, mean in mask.items()}

    def column(table: Mapping[Any, np.ndarray], k: int) -> dict[str, float | None]:
        return {str(key): float(mean[k]) if np.isfinite(mean[k]) else None for key, mean in table.items()}

    statistics = InputStatistics(
        size=size,
        beta=beta,
        window=window,
        classes={
            name: ClassWeighting(column(weight, k), column(mask, k), column(rescaled, k))
            for k, name in enumerate(data.classes)
        },
    )
    return statistics, Recommendations(
        objective=recommend_objective(pixels.sum(0) / max(pixels.sum(), 1), data.classes),
        beta=recommend_beta({b: weight[b] for b in _BETAS}, data.classes),
        window=recommend_window({w: rescaled[w] for w in _WINDOWS}, data.classes),
        crop=recommend_crop(_joined(measured).extents.tolist(), size or data.canvas("train")),
        inject=recommend_injection((pixels > 0).sum(0), data.classes),
    )


def _configured(terms: Iterable[Term], name: str) -> Any:
    """Return the value of an option in the first term that has it."""
    return next((value for term in terms if (value := find_option(term, name)) is not None), None)


def _labels(data: Prepared, parts: Iterable[str], size: Size | None) -> Iterator[np.ndarray]:
    for part in parts:
        for record in progress(data.parts[part], f"Reading the labels of the {part} part"):
            yield record["label"] if size is None else resized_label(record["label"], size)


def _on_boundary(label: np.ndarray) -> np.ndarray:
    """Compute `balanced_jax.masks.boundary_mask` in NumPy; JAX would compile it for each size of labels."""
    boundary = np.zeros(label.shape, bool)
    for pixels, neighbors in (
        ((slice(1, None),), (slice(None, -1),)),
        ((..., slice(1, None)), (..., slice(None, -1))),
    ):
        differ = (label[pixels] != label[neighbors]) & (label[pixels] != VOID) & (label[neighbors] != VOID)
        boundary[pixels] |= differ
        boundary[neighbors] |= differ
    return boundary
