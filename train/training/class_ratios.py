"""The numbers of the training part that `ImageRatio`, `PixelRatio` and `PixelShare` stand for."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from train.config import ImageRatio, PixelRatio, PixelShare, Term
from train.errors import UserError

_OPTIONS = ("options", "weights_options", "precomputed_options")
"""Fields of a Term that may hold ratios."""

Ratio = ImageRatio | PixelRatio | PixelShare
Numbers = tuple[float, ...]
"""One for each class."""


def resolve_ratios(
    objective: Mapping[str, Term],
    classes: Sequence[str],
    present: Sequence[Sequence[int]],
    labels: Iterable[np.ndarray],
) -> dict[str, Term]:
    """Return an objective with the numbers of the training part in place of its ratios.

    Args:
        objective: terms by name.
        classes: names, the background first.
        present: class ids in the label of each training image.
        labels: of the training images, uint8 [h, w]; read once, and only for ratios of pixels.

    Raises:
        UserError: no training image shows one of the defect classes, so the class has no ratio.
    """
    images = sum((np.isin(range(len(classes)), ids) for ids in present), np.zeros(len(classes), int))
    for address, ratio in _find_ratios(objective):
        for name, count in list(zip(classes, images, strict=True))[1:]:
            if not count:
                raise UserError(
                    f"objective.{address}: {type(ratio).__name__} has no number for the class {name}, "
                    "which no training image shows; move images of it to the training part, leave the class "
                    f"out, or give {len(classes)} numbers in place of the ratio"
                )

    @functools.cache
    def pixels() -> np.ndarray:
        counts = sum((np.bincount(label.ravel(), minlength=256) for label in labels), np.zeros(256, int))
        return counts[: len(classes)]

    def numbers(ratio: Ratio) -> Numbers:
        if isinstance(ratio, ImageRatio):
            return _ratios(images, len(present))
        if isinstance(ratio, PixelRatio):
            return _ratios(pixels(), pixels().sum())
        counts = np.maximum(pixels(), 1)
        return tuple((counts / counts.sum()).tolist())

    return {name: replace_ratios(term, numbers) for name, term in objective.items()}


def replace_ratios(term: Term, numbers: Callable[[Ratio], Numbers]) -> Term:
    """Return a term with numbers in place of its ratios."""

    def replaced(options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: numbers(x) if isinstance(x, Ratio) else x for name, x in options.items()}

    return dataclasses.replace(term, **{field: replaced(getattr(term, field)) for field in _OPTIONS})


def ratio_numbers(written: Mapping[str, Term], resolved: Mapping[str, Term]) -> dict[str, Numbers]:
    """Return the numbers in place of each ratio of an objective, by address `term.field.option`."""
    numbers = {}
    for address, _ in _find_ratios(written):
        name, field, option = address.rsplit(".", 2)
        numbers[address] = getattr(resolved[name], field)[option]
    return numbers


def _find_ratios(objective: Mapping[str, Term]) -> Iterator[tuple[str, Ratio]]:
    for name, term in objective.items():
        for field in _OPTIONS:
            for option, value in getattr(term, field).items():
                if isinstance(value, Ratio):
                    yield f"{name}.{field}.{option}", value


def _ratios(counts: np.ndarray, total: int) -> Numbers:
    """Return 1 for the background, and for each other class the ratio of the others to it, at least 1."""
    return (1.0, *(max(1.0, float((total - count) / count)) for count in counts[1:]))
