"""`python -m train compare`: train configs that differ along axes, and show them side by side."""

import contextlib
import itertools
import shlex
import statistics
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import tyro
from etils import epath

import balanced_jax.models
from train.commands.command import ConfigCommand, check_memory
from train.commands.fit import Fit
from train.comparison.collect import PART, Collected, collect, read_cell, reference_cell
from train.comparison.definition import Cell, Comparison, cells, repetition
from train.comparison.fields import parse_value
from train.comparison.records import ComparisonRecord
from train.config import Config, Term
from train.configfile import ConfigFile
from train.data.prepare import prepare
from train.display.comparison.page import ComparedPicture, write_comparison
from train.display.comparison.pictures import compared_cells, compared_pictures
from train.display.comparison.tables import comparison_table, csv_table, markdown_table
from train.display.formatting import duration
from train.errors import Interrupted, NonFinite, UserError, suggestion, writing
from train.parallel import check_batch_size
from train.paths import AnyPath
from train.run import directory
from train.run.directory import InUse, default_path
from train.run.files import write_json, write_text
from train.run.lock import locked
from train.run.log import console, log, progress, quiet
from train.run.results import keep_results
from train.setup import set_up
from train.training.class_ratios import ratio_numbers
from train.training.experiment import Experiment
from train.training.initial import check_initial

_AXES = ("--objectives", "--models", "--seeds", "--folds")


@dataclass(frozen=True, kw_only=True)
class Compare(ConfigCommand):
    """Train and evaluate one run for each objective, network, fold, seed and varied value; compare them.

    CONFIG is a file with `comparison = Comparison(...)`, or with a config, whose axes then come from the
    flags. Finished cells are kept, so the same command goes on where it was stopped.
    """

    usage: ClassVar[str] = "CONFIG [--objectives NAME ...] [--seeds N ...] [--section.field value ...]"

    comparison: tyro.conf.Suppress[Comparison]
    objectives: tuple[str, ...] = ()
    """Names of objectives: of the comparison, or of the `configs` of the file."""
    models: tuple[str, ...] = ()
    """Names of networks: of the comparison, or of `balanced_jax.models`, such as UNet and PSPNet."""
    seeds: tuple[int, ...] = ()
    """Seeds."""
    folds: tuple[int, ...] = ()
    """Folds of the data set."""
    vary: tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]] = ()
    """A field of the config and its values; may be given several times."""
    reference: str | None = None
    """Objective that differences refer to; the first unless given. With one objective, differences refer to
    the first network or value."""
    out: epath.Path | None = None
    """Folder of the comparison, which holds a run directory for each cell; runs/compare-NAME-DIGEST unless
    given."""
    evidence: epath.Path | None = None
    """Folder that keeps the small results of finished cells, and the table; a cell that is kept there counts
    as done."""
    repeat: bool = False
    """Train the first cell of the reference again if this code is at another commit than that cell, so that
    the table says whether cells of both commits can be compared."""
    commands: bool = False
    """Print a `fit` command for each open cell, for many machines, instead of training here."""
    memory: float = 4.0
    """GiB for decoded training images that are cached."""
    quiet: bool = False
    """No progress line, tables or colors: log lines with the time, as batch systems want."""
    compilation_cache: Path | None = None
    """Folder where compiled programs are kept, so that the next run starts sooner."""

    def __post_init__(self):
        super().__post_init__()
        check_memory(self.memory)

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Read the config file and the flags; refuse an axis without levels, which would be left out."""
        for argument, following in itertools.pairwise([*arguments, "--"]):
            if argument in _AXES and following.startswith("--"):
                raise UserError(f"{argument}: has no value, takes one or several; leave it out for all")
        return super().parse(name, arguments)

    @classmethod
    def default(cls, argument: str) -> Self:
        """Return the command without flags on a config file."""
        config_file = ConfigFile.parse(argument)
        defined = config_file.variables() if config_file.name is None else config_file.named("comparison")
        if (config_file.name or "comparison") in defined:
            comparison = config_file.find("comparison", Comparison)
        else:
            comparison = Comparison(config_file.load())
        return cls(config=comparison.base, config_file=config_file, comparison=comparison)

    def run(self) -> None:
        """Train what is open, and write comparison.json, .csv, .md and .html after each cell."""
        comparison = self._with_flags()
        title = self.config_file.title
        out = self.out or default_path(comparison.base, f"compare-{title}")
        everything = cells(comparison)
        collected = {cell.name: self._read(cell, out) for cell in everything}
        for cell in self._repetitions(collected[reference_cell(comparison, everything).name], out):
            collected[cell.name] = self._read(cell, out)
        opened = [each.cell for each in collected.values() if each.record.state == "open"]
        experiments = self._check(opened, out)
        if self.commands:
            self._print_commands(opened, out, experiments)
            return
        with quiet(log_lines=True) if self.quiet else contextlib.nullcontext():
            self._run_cells(comparison, opened, out, collected)

    def _run_cells(
        self, comparison: Comparison, opened: Sequence[Cell], out: AnyPath, collected: dict[str, Collected]
    ) -> None:
        """Train the open cells in turn, and write what is known after each.

        Raises:
            UserError: cells have failed.
        """
        errors: dict[str, str] = {}
        record = self._write(comparison, out, collected, errors)
        durations: list[float] = []
        for number, cell in enumerate(opened, 1):
            if collected[cell.name].record.state == "done":  # by another process, since the command started
                continue
            left = (len(opened) - number + 1) * statistics.fmean(durations) if durations else None
            hint = "" if left is None else f", about {duration(left)} left"
            log.info("cell %d of %d: %s%s", number, len(opened), cell.name, hint)
            start = time.monotonic()
            if (error := self._train(cell, out)) is not None:
                errors[cell.name] = error
            durations.append(time.monotonic() - start)
            record = self._write(comparison, out, collected, errors)
        console.print(comparison_table(record))
        log.info("comparison: %s", out / "comparison.html")
        if errors:
            raise UserError(
                f"{out}: {len(errors)} of {len(collected)} cells failed ({', '.join(errors)}); the same "
                "command tries them again"
            )

    def _with_flags(self) -> Comparison:
        """Return the comparison of the file with the axes and the config that flags have changed."""
        comparison = self.comparison
        networks = {name: getattr(balanced_jax.models, name) for name in balanced_jax.models.__all__}
        known_models: dict[str, nn.Module] = {
            name: kind() for name, kind in networks.items() if isinstance(kind, type)
        } | dict(comparison.models)
        configs: Mapping[str, Config] = self.config_file.named("config")
        known_objectives: dict[str, Mapping[str, Term]] = {
            name: config.objective for name, config in configs.items()
        } | dict(comparison.objectives)
        return Comparison(
            base=self.config,
            objectives=_chosen("objectives", self.objectives, known_objectives) or comparison.objectives,
            models=_chosen("models", self.models, known_models) or comparison.models,
            vary={**comparison.vary, **_varied(self.vary)},
            folds=self.folds or comparison.folds,
            seeds=self.seeds or comparison.seeds,
            reference=self.reference or comparison.reference,
            published=comparison.published,
        )

    def _read(self, cell: Cell, out: AnyPath) -> Collected:
        """Return what the run of a cell has left, in the comparison's folder or in that of the evidence."""
        if self.evidence is None:
            return read_cell(cell, out / cell.name)
        kept = read_cell(cell, self.evidence / cell.name)
        if kept.record.state == "done":
            return kept
        return read_cell(cell, out / cell.name)

    def _repetitions(self, reference: Collected, out: AnyPath) -> list[Cell]:
        """Return the repetitions of the reference's first cell: those begun, and the one to begin."""
        cell, first, commit = reference.cell, reference.record, directory.current_commit()
        prefix = repetition(cell, "").name
        folders = [out] if self.evidence is None else [out, self.evidence]
        commits = {path.name.removeprefix(prefix) for f in folders for path in f.glob(f"{prefix}*")}
        if self.repeat and first.state == "done" and commit not in (None, first.commit):
            commits.add(commit[:10])
        return [repetition(cell, commit) for commit in sorted(commits)]

    def _check(self, opened: Sequence[Cell], out: AnyPath) -> dict[str, Experiment]:
        """Return the experiment of each cell; refuse configs that cannot work."""
        experiments = {}
        for cell in progress(opened, "checking the configs"):
            try:
                check_batch_size(cell.config.batch_size, cell.config.accumulation)
                experiment, _ = set_up(cell.config, data_dir=self.data_dir, source=self.source)
                check_initial(experiment, out / cell.name)
            except UserError as error:
                raise UserError(f"{cell.name}: {error}") from error
            experiments[cell.name] = experiment
        return experiments

    def _print_commands(
        self, opened: Sequence[Cell], out: AnyPath, experiments: Mapping[str, Experiment]
    ) -> None:
        """Make the run directory of each open cell, and print the command that trains it."""
        flags = ["--data-dir", str(self.data_dir), "--memory", str(self.memory)]
        for flag, path in (("--source", self.source), ("--compilation-cache", self.compilation_cache)):
            flags += [] if path is None else [flag, str(path)]
        for cell in opened:
            run_dir, experiment = out / cell.name, experiments[cell.name]
            class_weights = ratio_numbers(cell.config.objective, experiment.config.objective)
            with directory.claim(run_dir):
                directory.begin_or_resume(
                    run_dir, cell.config, self.config_file.path, experiment.facts, class_weights
                )
            print(shlex.join([sys.executable, "-m", "train", "fit", str(run_dir), *flags]))

    def _train(self, cell: Cell, out: AnyPath) -> str | None:
        """Train and evaluate a cell unless another process does; return why it failed, in one line."""
        run_dir = out / cell.name
        fit = Fit(
            config=cell.config,
            config_file=self.config_file,
            data_dir=self.data_dir,
            source=self.source,
            run_dir=epath.Path(run_dir),
            memory=self.memory,
            compilation_cache=self.compilation_cache,
        )
        try:
            fit.run()
        except InUse:
            log.info("%s: another process works on it", cell.name)
        except Interrupted:
            raise
        except Exception as error:
            text = " ".join(f"{error}".split())
            if not isinstance(error, UserError | NonFinite):
                write_text(run_dir / "error.txt", traceback.format_exc())
                text = f"{type(error).__name__}: {text}; see {run_dir / 'error.txt'}"
            log.error("%s: failed: %s", cell.name, text)
            return text
        finally:
            jax.clear_caches()  # the compiled programs of one cell are of no use to the next
        return None

    def _write(
        self,
        comparison: Comparison,
        out: AnyPath,
        collected: dict[str, Collected],
        errors: Mapping[str, str],
    ) -> ComparisonRecord:
        """Read the cells that are not done again, write the tables and the page, and keep the new results."""
        for name, each in collected.items():
            if each.record.state != "done":
                collected[name] = self._read(each.cell, out)
        everything = [each.failed(errors.get(name)) for name, each in collected.items()]
        record = collect(comparison, self.config_file.title, everything)
        pictures = self._pictures(record, everything)
        table = markdown_table(record)
        # Several processes may work on the cells of one comparison.
        with writing(f"{out}", "give another --out"), locked(out, wait=True):
            write_json(out / "comparison.json", record)
            write_text(out / "comparison.csv", csv_table(record))
            write_text(out / "comparison.md", table)
            write_comparison(out / "comparison.html", record, pictures)
        if self.evidence is not None:
            for each in everything:
                if each.record.state == "done" and each.run_dir.parent == out:
                    keep_results(each.run_dir, self.evidence / each.cell.name)
            self.evidence.mkdir(parents=True, exist_ok=True)
            write_text(self.evidence / "comparison.md", table)
        return record

    def _pictures(self, record: ComparisonRecord, collected: Sequence[Collected]) -> list[ComparedPicture]:
        """Return the images under two objectives.

        None where the data is not at hand, as for kept results, or where the two have different data.
        """
        shown = compared_cells(record, collected)
        if not shown:
            return []
        [first, *_] = shown.values()
        try:
            data = prepare(first.cell.config.data, data_dir=self.data_dir, source=self.source)
        except UserError:
            return []
        if any(directory.read_facts(cell.run_dir).fingerprint != data.fingerprint for cell in shown.values()):
            return []
        return compared_pictures(shown, data.parts[PART])


def _varied(flags: Sequence[Sequence[str]]) -> dict[str, tuple[Any, ...]]:
    """Return the values of each field that flags vary; a field that is given twice has all of them."""
    varied: dict[str, tuple[Any, ...]] = {}
    for path, *values in (flag or ("",) for flag in flags):
        if not values:
            raise UserError(f"--vary {path}: takes a field of the config and its values")
        varied[path] = (*varied.get(path, ()), *map(parse_value, values))
    return varied


def _chosen(axis: str, names: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects that a flag names."""
    for name in names:
        if name not in known:
            raise UserError(f"--{axis}: there is no {name}; {suggestion(name, known, 'there are')}")
    return {name: known[name] for name in names}
