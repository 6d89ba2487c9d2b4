"""What a data set is like, and which beta, window and crop suit it."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from scipy import ndimage

from balanced_jax.masks import class_weight_mask
from train.config import Config, Term
from train.data.example import PARTS, VOID
from train.data.prepare import Prepared
from train.data.resize import resized_label
from train.inspection.muting import MUTED, Mask, class_sums, mean_over_images, purity, rescaled
from train.measures.components import Component, components
from train.run.log import progress
from train.training.objective import find_option

BETAS = (0.0, 0.5, 0.75, 0.9, 0.99, 0.999)
HEAVIEST = 4.0
"""A recommended beta weighs no class more than this on average: recall rises, but precision falls with it."""
WINDOWS = (3, 5, 7, 9, 15)
WHOLE = 0.95
"""Share of the components that a recommended crop holds whole."""
CROP_STEP = 32


@dataclasses.dataclass(frozen=True)
class Components:
    """The connected components of a class, in pixels."""

    areas: list[int] = dataclasses.field(default_factory=list)
    widths: list[float] = dataclasses.field(default_factory=list)
    """Twice the largest distance to the outside, less one: a line's thickness, one less if that is even."""
    extents: list[int] = dataclasses.field(default_factory=list)
    """The longer side of the upright box."""

    def add(self, component: Component) -> None:
        """Take in one of them."""
        # Beyond the frame is outside, so a defect cut by it is as wide as what is seen of it.
        depth: Any = ndimage.distance_transform_edt(np.pad(component.pixels, 1))
        self.areas.append(component.area)
        self.widths.append(2 * float(depth.max()) - 1)
        self.extents.append(max(component.pixels.shape))


def statistics(data: Prepared, config: Config) -> dict[str, Any]:
    """What the labels of a data set say, and what a run should make of them.

    Args:
        data: the set.
        config: says at which size the network sees images, and with which beta and window.

    Returns:
        A dictionary fit for JSON:

        - `parts`: for each part the number of `images` and of those that are `defective`;
        - `sizes`: `smallest`, `median` and `largest` height and width, and how many sizes are `distinct`;
        - `boundary_share`: of all labelled pixels, those with a neighbour of another class above, below, left
          or right;
        - `classes`: for each class, of all parts, the number of `images` that show it, its `image_ratio` and
          `pixel_ratio`, the mean share of pixels in images that show it (`mean_in_images`), the share of its
          own pixels on a boundary; for defects also `components`: how many, and the 5th, 50th and 95th
          percentile of `area`, `width` and `extent` in pixels;
        - `seen`: the training part at the size of the network: `size`, the configured `beta` and `window`
          (null without one), and for each class the mean `weight` under each beta and the mean confusion
          `mask` and its `rescaled` value under each window, over the images that show it;
        - `recommended`: `beta`, `window` and `crop`, each with its `value` and its `reason`.
    """
    return {
        "parts": {
            part: {"images": len(data.parts[part]), "defective": sum(data.parts[part].defective)}
            for part in PARTS
        },
        "sizes": _sizes([size for part in PARTS for size in data.parts[part].sizes]),
        **_as_stored(data),
        **_as_seen(data, config),
    }


def _sizes(sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    array = np.array(sizes)
    return {
        "smallest": array.min(0).tolist(),
        "median": np.median(array, axis=0).tolist(),
        "largest": array.max(0).tolist(),
        "distinct": len(set(sizes)),
    }


def _as_stored(data: Prepared) -> dict[str, Any]:
    """Ratios, boundaries and components of all parts, at the size of the files."""
    classes = len(data.classes)
    pixels, boundary = [], np.zeros(classes, np.int64)
    found = [Components() for _ in data.classes]
    for label in _labels(data, PARTS, None):
        pixels.append(np.bincount(label.ravel(), minlength=VOID + 1)[:classes])
        boundary += np.bincount(label[_on_boundary(label)], minlength=VOID + 1)[:classes]
        for component in components(label, range(1, classes)):
            found[component.label].add(component)
    counts = np.stack(pixels)
    labelled = np.maximum(counts.sum(1), 1)
    present = counts > 0

    def of_class(k: int) -> dict[str, Any]:
        images = int(present[:, k].sum())
        shares = (counts[:, k] / labelled)[present[:, k]]
        figures = {
            "images": images,
            "image_ratio": images / len(counts),
            "pixel_ratio": float(counts[:, k].sum() / labelled.sum()),
            "mean_in_images": float(shares.mean()) if images else None,
            "boundary_share": float(boundary[k] / counts[:, k].sum()) if images else None,
        }
        return figures | ({"components": _percentiles(found[k])} if k and images else {})

    return {
        "boundary_share": float(boundary.sum() / labelled.sum()),
        "classes": {name: of_class(k) for k, name in enumerate(data.classes)},
    }


def _percentiles(found: Components) -> dict[str, Any]:
    def percentiles(values: Sequence[float]) -> list[float]:
        return np.percentile(values, (5, 50, 95)).tolist()

    return {
        "number": len(found.areas),
        "area": percentiles(found.areas),
        "width": percentiles(found.widths),
        "extent": percentiles(found.extents),
    }


def _as_seen(data: Prepared, config: Config) -> dict[str, Any]:
    """Weights and masks of the training part at the size of the network, and what to make of them."""
    size = config.input.size
    beta, window = (_configured(config.objective.values(), name) for name in ("beta", "window"))
    betas = sorted({*BETAS, *([beta] if isinstance(beta, float) else [])})
    windows = sorted({*WINDOWS, *([window] if isinstance(window, int) else [])})
    found = Components()

    def labels() -> Iterator[np.ndarray]:
        for label in _labels(data, ("train",), size):
            for component in components(label, range(1, len(data.classes))):
                found.add(component)
            yield label

    masks = (*(rarity(b) for b in betas), *(purity(w) for w in windows))
    pixels, *sums = class_sums(labels(), len(data.classes), masks)
    means = [mean_over_images(weights, pixels) for weights in sums]
    weight = dict(zip(betas, means[: len(betas)], strict=True))
    mask = dict(zip(windows, means[len(betas) :], strict=True))
    scaled = {w: rescaled(mean, len(data.classes)) for w, mean in mask.items()}
    canvas = size or data.canvas("train")

    def of_class(k: int) -> dict[str, Any]:
        return {
            "weight": {str(b): _number(mean[k]) for b, mean in weight.items()},
            "mask": {str(w): _number(mean[k]) for w, mean in mask.items()},
            "rescaled": {str(w): _number(mean[k]) for w, mean in scaled.items()},
        }

    return {
        "seen": {
            "size": size,
            "beta": beta if isinstance(beta, float) else None,
            "window": window,
            "classes": {name: of_class(k) for k, name in enumerate(data.classes)},
        },
        "recommended": {
            "beta": _best_beta({b: weight[b] for b in BETAS}, data.classes),
            "window": _best_window({w: scaled[w] for w in WINDOWS}, data.classes),
            "crop": _best_crop(found.extents, canvas),
        },
    }


@cache
def rarity(beta: float) -> Mask:
    """Class weights of a beta; the same object each time, so that it is compiled once."""
    return partial(class_weight_mask, beta=beta)


def _configured(terms: Iterable[Term], name: str) -> Any:
    """The value of an option in the first term that has it."""
    return next((value for term in terms if (value := find_option(term, name)) is not None), None)


def _best_beta(weight: Mapping[float, np.ndarray], classes: Sequence[str]) -> dict[str, Any]:
    """The largest beta under which no defect weighs more than `HEAVIEST` on average."""
    bound = HEAVIEST * (1 + 1e-6)  # a class below one percent weighs exactly 4 under .75, but for rounding
    fits = [b for b, mean in weight.items() if not (mean[1:] > bound).any()]
    value = max(fits)  # a beta of 0 weighs all alike
    larger = [b for b in weight if b > value]
    if not larger:
        return {"value": value, "reason": f"even under it no class weighs more than {HEAVIEST:g} on average"}
    over = weight[larger[0]]
    k = int(np.nanargmax(over[1:])) + 1
    return {
        "value": value,
        "reason": f"under {larger[0]} {classes[k]} would weigh {over[k]:.1f} on average, above {HEAVIEST:g}",
    }


def _best_window(scaled: Mapping[int, np.ndarray], classes: Sequence[str]) -> dict[str, Any]:
    """The last window, from the smallest upward, before one that mutes a defect."""
    value = None
    for window, mean in scaled.items():
        if (mean[1:] < MUTED).any():
            k = int(np.nanargmin(mean[1:])) + 1
            reason = f"window {window} leaves {classes[k]} a rescaled mask of {mean[k]:.2f}, below {MUTED}"
            if value is None:
                remedy = "; take a larger input.size, the mask's option minimum, or no confusion mask"
                return {"value": min(scaled), "reason": reason + remedy}
            return {"value": value, "reason": reason}
        value = window
    return {"value": value, "reason": f"even under it no class has a rescaled mask below {MUTED}"}


def _best_crop(extents: Sequence[int], canvas: tuple[int, int]) -> dict[str, Any]:
    """The smallest square in steps that holds most components whole, cut to the image."""
    wanted = float(np.percentile(extents, 100 * WHOLE)) if extents else 1.0
    side = CROP_STEP * int(np.ceil(wanted / CROP_STEP))
    return {
        "value": [min(side, length) for length in canvas],
        "reason": f"{WHOLE:.0%} of the defects are at most {wanted:.0f} pixels long or wide",
    }


def _labels(data: Prepared, parts: Iterable[str], size: tuple[int, int] | None) -> Iterator[np.ndarray]:
    for part in parts:
        for record in progress(data.parts[part], f"Reading the labels of the {part} part"):
            yield record["label"] if size is None else resized_label(record["label"], size)


def _on_boundary(label: np.ndarray) -> np.ndarray:
    """Where a labelled pixel has a labelled neighbour of another class above, below, left or right."""
    found = np.zeros(label.shape, bool)
    for ours, theirs in (
        ((slice(1, None),), (slice(None, -1),)),
        ((..., slice(1, None)), (..., slice(None, -1))),
    ):
        differ = (label[ours] != label[theirs]) & (label[ours] != VOID) & (label[theirs] != VOID)
        found[ours] |= differ
        found[theirs] |= differ
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
