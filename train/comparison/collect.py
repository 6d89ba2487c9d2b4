"""From run directories to the record of a comparison."""

import dataclasses
import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from train import configfile, records
from train.comparison.definition import Cell, Comparison, axes, reference_level, row_levels, row_name
from train.comparison.figures import BySeed, join_folds, row_figures
from train.comparison.records import FOLD, SEED, CellRecord, ComparisonRecord, Repetition, Row
from train.errors import UserError
from train.measures.records import EpochRecord, Evaluation
from train.paths import AnyPath
from train.run.directory import read_config_json, read_epochs, read_facts
from train.run.files import read_record, reading
from train.run.lock import is_locked
from train.run.results import read_image_counts
from train.training.early_stopping import monitored, stalled

PART = "test"
"""Part of the data on which cells are evaluated."""


@dataclass(frozen=True)
class _Circumstances:
    """What config.json says about a run besides its config and data."""

    versions: dict[str, str]
    started: str | None = None
    commit: str | None = None
    class_weights: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self):
        if self.started is not None:
            datetime.datetime.fromisoformat(self.started)


class Collected(NamedTuple):
    """A cell and what its run has left."""

    cell: Cell
    run_dir: AnyPath
    record: CellRecord

    def failed(self, error: str | None) -> "Collected":
        """Return this cell as one that has failed; unchanged without an error."""
        if error is None:
            return self
        return self._replace(record=dataclasses.replace(self.record, state="failed", error=error))


def read_cell(cell: Cell, run_dir: AnyPath) -> Collected:
    """Return what a cell's run has left in its directory; an open cell if there is no run.

    Raises:
        UserError: the directory belongs to another config, or a file in it is damaged.
    """
    if not (run_dir / "config.json").is_file():
        nothing = CellRecord(cell.name, cell.levels, "open", None, None, None, {}, None, None, {})
        return Collected(cell, run_dir, nothing)
    head = read_config_json(run_dir)
    if changed := configfile.differences(head["config"], configfile.to_json(cell.config)):
        raise UserError(
            f"{run_dir}: belongs to another config ({'; '.join(changed)}); give another --out, or remove it"
        )
    with reading(run_dir / "config.json"):
        names = {each.name for each in dataclasses.fields(_Circumstances)}
        known = {name: value for name, value in head.items() if name in names}
        circumstances = records.from_json(known, _Circumstances)
    epochs = read_epochs(run_dir, read_facts(run_dir).classes)
    evaluation = _final_evaluation(cell, run_dir, epochs)
    record = CellRecord(
        name=cell.name,
        levels=cell.levels,
        state="done" if evaluation is not None else "running" if is_locked(run_dir) else "open",
        error=None,
        started=circumstances.started,
        commit=circumstances.commit,
        versions=circumstances.versions,
        seconds=sum(epoch.seconds for epoch in epochs) if epochs else None,
        iou=None if evaluation is None else evaluation.headline,
        class_weights=circumstances.class_weights,
    )
    return Collected(cell, run_dir, record)


def _final_evaluation(cell: Cell, run_dir: AnyPath, epochs: Sequence[EpochRecord]) -> Evaluation | None:
    """Return the evaluation of a finished run; None if it is not finished or was last evaluated otherwise."""
    config = cell.config
    values = [monitored(epoch.validation, config.monitor) for epoch in epochs]
    finished = len(epochs) == config.epochs or stalled(values, config.patience)
    if not finished or not all(
        (run_dir / name).is_file() for name in ("evaluation.json", "image_counts.csv")
    ):
        return None
    evaluation = read_record(run_dir / "evaluation.json", Evaluation)
    return evaluation if (evaluation.part, evaluation.checkpoint) == (PART, "best") else None


def collect(comparison: Comparison, title: str, collected: Sequence[Collected]) -> ComparisonRecord:
    """Return the record of a comparison as far as its cells are done.

    Raises:
        UserError: cells were evaluated on different images.
    """
    named = axes(comparison)
    firsts = [each for each in collected if each.cell.repeats is None]
    rows = _rows(comparison, firsts)
    reference = reference_level(comparison)
    classes: Sequence[str] = ()
    records = []
    for levels, by_seed in rows.values():
        name = row_name(levels, named)
        key = _key(levels | reference)
        compared_with = rows[key][1] if key in rows and key != _key(levels) else None
        most_probable, decided = (
            row_figures(by_seed, compared_with, rule)
            for rule in (lambda counts: counts.most_probable, lambda counts: counts.decided)
        )
        records.append(
            Row(name, levels, list(by_seed), most_probable, decided, comparison.published.get(name))
        )
        classes = next(iter(by_seed.values())).classes
    return ComparisonRecord(
        title=title,
        part=PART,
        axes={axis: list(levels) for axis, levels in named.items()},
        reference=reference,
        classes=list(classes),
        rows=records,
        cells=[each.record for each in firsts],
        repetitions=_repetitions(collected),
    )


def reference_cell(comparison: Comparison, cells: Sequence[Cell]) -> Cell:
    """Return the first cell of the level that differences refer to."""
    reference = reference_level(comparison)
    return next(cell for cell in cells if cell.levels == cell.levels | reference)


def _rows(comparison: Comparison, collected: Sequence[Collected]) -> dict[str, tuple[dict[str, str], BySeed]]:
    """Return the levels and the counts of each row, by its key, without seeds that lack a fold."""
    folds = len(set(comparison.folds)) or 1
    done: dict[str, dict[str, list[Collected]]] = defaultdict(lambda: defaultdict(list))
    for each in collected:
        if each.record.state == "done":
            done[_key(row_levels(each.cell.levels))][each.cell.levels[SEED]].append(each)
    rows = {}
    for key, seeds in done.items():
        complete = {
            seed: join_folds([read_image_counts(c.run_dir) for c in sorted(group, key=_fold)])
            for seed, group in seeds.items()
            if len(group) == folds
        }
        if complete:
            [first, *_] = seeds.values()
            rows[key] = (row_levels(first[0].cell.levels), complete)
    return rows


def _repetitions(collected: Sequence[Collected]) -> list[Repetition]:
    """Return the finished repetitions of finished cells."""
    done = {each.cell.name: each for each in collected if each.record.state == "done"}
    found = []
    for each in done.values():
        if each.cell.repeats is None or each.cell.repeats not in done:
            continue
        first = done[each.cell.repeats]
        evaluations = [read_record(c.run_dir / "evaluation.json", Evaluation) for c in (first, each)]
        seeds = [
            c.record.iou
            for c in done.values()
            if c.cell.repeats is None
            and c.record.iou is not None
            and c.cell.levels | {SEED: ""} == first.cell.levels | {SEED: ""}
        ]
        found.append(
            Repetition(
                cell=each.record,
                repeats=first.cell.name,
                first=first.record.iou,
                equal=evaluations[0] == evaluations[1],
                between_seeds=max(seeds) - min(seeds) if len(seeds) > 1 else None,
            )
        )
    return found


def _fold(collected: Collected) -> str:
    return collected.cell.levels.get(FOLD, "")


def _key(levels: Mapping[str, str]) -> str:
    return "\n".join(f"{axis} {level}" for axis, level in levels.items())
