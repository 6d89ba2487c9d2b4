"""The typed records of a comparison: what comparison.json holds.

A figure is None where no image bears on it. Figures of several folds are computed from the pixel counts of
all their images.
"""

from dataclasses import dataclass, field
from typing import Literal

from train.measures.records import Interval

OBJECTIVE, MODEL, FOLD, SEED = "objective", "model", "fold", "seed"
"""Names of the axes that any comparison may have. The cells of a row differ in fold and seed alone."""


@dataclass(frozen=True)
class Spread:
    """One figure over the seeds of a row."""

    mean: float | None
    """Mean over the seeds."""
    deviation: float | None
    """Sample standard deviation; None for fewer than two seeds."""


@dataclass(frozen=True)
class Difference:
    """Mean data-set IoU of a row minus that of the reference row, over the seeds that both have."""

    seeds: int
    """Number of these seeds."""
    mean: float | None
    """Mean over these seeds."""
    interval: Interval | None
    """95 % interval of a paired bootstrap over groups of images and over seeds; None where fewer than two
    groups bear on the figure."""


@dataclass(frozen=True)
class RowFigures:
    """Figures of a row under one decision rule; each mean over classes is over the defect classes."""

    iou: Spread
    """Data-set IoU, mean over classes."""
    present: Spread
    """IoU in the reading `present` of `balanced_jax.metrics`, mean over classes."""
    union: Spread
    """IoU in the reading `union`, mean over classes."""
    all: Spread
    """IoU in the reading `all`, mean over classes."""
    precision: Spread
    """Data-set precision, mean over classes."""
    recall: Spread
    """Data-set recall, mean over classes."""
    classes: dict[str, Spread]
    """Data-set IoU by defect class."""
    difference: Difference | None
    """None for the reference row, and for rows without one."""


@dataclass(frozen=True)
class Row:
    """The finished cells that differ in seed and fold alone."""

    name: str
    """Levels of all other axes that have more than one, such as "paper, PSPNet"."""
    levels: dict[str, str]
    """Level by axis, without seed and fold."""
    seeds: list[str]
    """Seeds whose folds are all finished."""
    most_probable: RowFigures
    """Each pixel has its most probable class."""
    decided: RowFigures
    """Decisions under thresholds and minimum areas that were chosen on the validation part."""
    published: float | None
    """Figure of the original publication."""


@dataclass(frozen=True)
class CellRecord:
    """One run of a comparison."""

    name: str
    """Name of its run directory."""
    levels: dict[str, str]
    """Level by axis."""
    state: Literal["done", "failed", "running", "open"]
    """running: another process works on it."""
    error: str | None
    """Why it failed, in one line."""
    started: str | None
    """When its run directory was made, in ISO 8601, UTC."""
    commit: str | None
    """Commit of the code that made it, with "+" if files differed from it; None outside a git checkout."""
    versions: dict[str, str]
    """Of Python and the packages, by name."""
    seconds: float | None
    """Duration of the training steps so far."""
    iou: float | None
    """Data-set IoU, mean over the defect classes, of most probable classes; None unless done."""
    class_weights: dict[str, list[float]]
    """Class weights that were counted on its training part, by their address in the objective."""


@dataclass(frozen=True)
class Repetition:
    """A cell that was trained again at another commit: whether cells of both commits can be compared."""

    cell: CellRecord
    """The second training."""
    repeats: str
    """Name of the cell of the first training."""
    first: float | None
    """IoU of the first training, as `iou` of `cell`."""
    equal: bool
    """Whether both evaluations have the same figures."""
    between_seeds: float | None
    """Largest difference of the IoU between two seeds of the row; None for fewer than two seeds."""


@dataclass(frozen=True)
class ComparisonRecord:
    """A comparison as far as its cells are finished."""

    title: str
    """Name of the comparison."""
    part: str
    """Part of the data on which the cells are evaluated."""
    axes: dict[str, list[str]]
    """Levels by axis, in their order: objective, model, varied fields, fold, seed; only axes with levels of
    their own."""
    reference: dict[str, str]
    """Level that differences refer to, by its axis: of the first axis that tells rows apart and has several
    levels; empty where there is none."""
    classes: list[str]
    """Names by class id, the background first; empty before the first cell is done."""
    rows: list[Row]
    """Figures over seeds and folds."""
    cells: list[CellRecord]
    """All runs."""
    repetitions: list[Repetition] = field(default_factory=list)
    """Cells that were trained again at another commit."""
