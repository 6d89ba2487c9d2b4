"""What a comparison is: a config, the axes along which it is varied, and a cell for each combination."""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import flax.linen as nn

from train.comparison.fields import replace_field
from train.comparison.records import FOLD, MODEL, OBJECTIVE, SEED
from train.config import Config, Term
from train.errors import UserError, suggestion
from train.field_types import check_types

Settings = Mapping[str, Any]
"""Values of fields of a config, by path."""


@dataclass(frozen=True)
class Comparison:
    """Configs that differ along axes; every combination of levels is a cell, which is an ordinary run."""

    base: Config
    """The config that all cells share."""
    objectives: Mapping[str, Mapping[str, Term]] = field(default_factory=dict)
    """Objectives by name; none keeps the objective of `base`."""
    models: Mapping[str, nn.Module] = field(default_factory=dict)
    """Networks by name, each at the width of the network of `base`; none keeps that network."""
    vary: Mapping[str, Sequence[Any] | Mapping[str, Settings]] = field(default_factory=dict)
    """Further axes: the path of a field, such as "optimizer.weight_decay", and its values; or any name, and
    for each level by name the values of several fields by path."""
    folds: tuple[int, ...] = ()
    """Folds of the data set (`data.fold`); none keeps that of `base`."""
    seeds: tuple[int, ...] = ()
    """Seeds; none keeps that of `base`."""
    reference: str | None = None
    """Name of the objective that differences refer to; None takes the first. With one objective, differences
    refer to the first level of the next axis."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Figures of the original publication, by the name of the row."""

    def __post_init__(self):
        check_types(Comparison, self, "comparison: ")
        if self.reference is not None and self.reference not in self.objectives:
            hint = suggestion(self.reference, list(self.objectives), "there are")
            raise UserError(f"reference: no objective has the name {self.reference}; {hint}")


class Cell(NamedTuple):
    """One combination of levels."""

    name: str
    """Name of its run directory."""
    levels: dict[str, str]
    """Level by axis, in the order of `axes`."""
    config: Config
    repeats: str | None = None
    """Name of the cell whose config this one trains again, at another commit."""


def axes(comparison: Comparison) -> dict[str, dict[str, Settings]]:
    """Return the levels of each axis, and the fields that each level sets.

    The order of the axes is objective, model, varied fields, fold, seed.
    """
    base = comparison.base
    width = getattr(base.model, "width", None)
    models = {
        name: model.clone(width=width) if width is not None and hasattr(model, "width") else model
        for name, model in comparison.models.items()
    }
    named: dict[str, dict[str, Settings]] = {
        OBJECTIVE: {name: {OBJECTIVE: terms} for name, terms in comparison.objectives.items()},
        MODEL: {name: {MODEL: model} for name, model in models.items()},
        **_varied(comparison.vary),
        FOLD: {str(fold): {"data.fold": fold} for fold in comparison.folds},
        SEED: {str(seed): {"seed": seed} for seed in comparison.seeds or (base.seed,)},
    }
    return {axis: levels for axis, levels in named.items() if levels}


def reference_level(comparison: Comparison) -> dict[str, str]:
    """Return the level that differences refer to, by its axis; none where no axis that tells rows apart has
    several levels."""
    for axis, levels in axes(comparison).items():
        if axis not in (FOLD, SEED) and len(levels) > 1:
            first = next(iter(levels))
            return {axis: (comparison.reference or first) if axis == OBJECTIVE else first}
    return {}


def cells(comparison: Comparison) -> list[Cell]:
    """Return all cells; those of the first seed come first.

    Raises:
        UserError: a varied field does not exist, a config refuses a value, or two cells have one name.
    """
    named = axes(comparison)
    found = []
    # The last factor of a product varies fastest: objectives, then networks; seeds slowest.
    for combination in itertools.product(*(levels.items() for levels in reversed(named.values()))):
        levels = dict(zip(named, (level for level, _ in reversed(combination)), strict=True))
        name = _cell_name(levels)
        settings = [item for _, values in reversed(combination) for item in values.items()]
        try:
            config = functools.reduce(lambda c, item: replace_field(c, *item), settings, comparison.base)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
        found.append(Cell(name, levels, config))
    name, times = Counter(cell.name for cell in found).most_common(1)[0]
    if times > 1:
        raise UserError(f"{name}: {times} cells have this name; give the levels distinct names")
    return found


def repetition(cell: Cell, commit: str) -> Cell:
    """Return the cell that trains the config of a cell again, at another commit."""
    return cell._replace(name=f"{cell.name}-at-{commit[:10]}", repeats=cell.name)


def row_name(levels: Mapping[str, str], axes: Mapping[str, Any]) -> str:
    """Return the name of a cell's row: the levels on the axes that have several, without fold and seed."""
    shown = [level_text(axis, level) for axis, level in row_levels(levels).items() if len(axes[axis]) > 1]
    return ", ".join(shown) or levels.get(OBJECTIVE, "base")


def level_text(axis: str, level: str) -> str:
    """Return a level with the name of its axis, unless its own name is enough."""
    return level if axis in (OBJECTIVE, MODEL) else f"{axis} {level}"


def row_levels(levels: Mapping[str, str]) -> dict[str, str]:
    """Return the levels without fold and seed."""
    return {axis: level for axis, level in levels.items() if axis not in (FOLD, SEED)}


def _varied(vary: Mapping[str, Sequence[Any] | Mapping[str, Settings]]) -> dict[str, dict[str, Settings]]:
    short = {path: path.rpartition(".")[2] for path in vary}
    counts = Counter(short.values())
    varied: dict[str, dict[str, Settings]] = {}
    for path, levels in vary.items():
        reserved = short[path] in (OBJECTIVE, MODEL, FOLD, SEED)
        axis = short[path] if counts[short[path]] == 1 and not reserved else path
        if axis in (OBJECTIVE, MODEL, FOLD, SEED):
            raise UserError(f"vary: {path} has an axis of its own; give --{axis}s")
        if isinstance(levels, Mapping):
            varied[axis] = dict(levels)
        else:
            varied[axis] = {_level_name(value): {path: value} for value in levels}
    return varied


def _level_name(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _cell_name(levels: Mapping[str, str]) -> str:
    parts = [level if axis in (OBJECTIVE, MODEL) else f"{axis}_{level}" for axis, level in levels.items()]
    return "-".join(re.sub(r"[^\w.+]+", "_", part) for part in parts)
