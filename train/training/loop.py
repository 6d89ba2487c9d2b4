"""The training loop: epochs of steps, each followed by validation, a line of metrics and a checkpoint."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from train.data.cache import Batch
from train.data.pipeline import training_batches
from train.data.prepare import Part, Prepared
from train.errors import Interrupted, NonFinite
from train.inference.viewers import Validate
from train.measures.records import EpochRecord
from train.parallel import map_training, replicate, shard
from train.paths import AnyPath
from train.run.checkpoints import Checkpoints
from train.run.directory import read_epochs
from train.run.files import damaged, write_rows
from train.run.interrupt import Interruption
from train.run.log import log, progress_line
from train.training.early_stopping import monitored, stalled
from train.training.experiment import Experiment
from train.training.initial import first_state
from train.training.precomputed_masks import precomputed_masks
from train.training.state import State
from train.training.step import StepReport

_PROFILED_STEPS = 5
"""Steps that a profile covers, after as many that it does not."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    state: State
    step: int
    """Training steps taken."""
    epochs: list[EpochRecord]
    """The finished epochs."""
    partial_epoch: list[dict[str, float]]
    """Losses by term of the steps of an unfinished epoch."""


def load_progress(experiment: Experiment, run_dir: AnyPath) -> Progress:
    """Return the latest checkpoint of a run; its initial state where there is none."""
    checkpoints = Checkpoints(run_dir)
    step = checkpoints.latest()
    if step is None:
        return Progress(first_state(experiment, run_dir), 0, [], [])
    log.info("going on after step %d of %d", step, experiment.steps)
    partial_epoch = checkpoints.partial_epoch(step)
    # The last step of an epoch is part of an unfinished one until the state is validated.
    epochs = _finished_epochs(experiment, run_dir, step - 1 if partial_epoch else step)
    return Progress(experiment.restore(checkpoints, step), step, epochs, partial_epoch)


def _finished_epochs(experiment: Experiment, run_dir: AnyPath, step: int) -> list[EpochRecord]:
    """Return the records of the epochs up to a step.

    A line past the step is from an epoch whose state was not stored.

    Raises:
        UserError: a line is missing, or is of another run.
    """
    file = run_dir / "metrics.jsonl"
    epochs = [row for row in read_epochs(run_dir, experiment.facts.classes) if row.step <= step]
    expected = step // experiment.steps_per_epoch
    if len(epochs) != expected:
        raise damaged(
            file, f"has {len(epochs)} of the {expected} epochs before the checkpoint of step {step}"
        )
    for number, row in enumerate(epochs, 1):
        if row.step != number * experiment.steps_per_epoch:
            raise damaged(file, f"has step {row.step} in epoch {number}")
    return epochs


def train(
    experiment: Experiment,
    data: Prepared,
    run_dir: AnyPath,
    progress: Progress,
    *,
    memory: int,
    validate: Validate,
    interruption: Interruption,
    on_epoch: Callable[[EpochRecord, State], None] | None = None,
    profile: bool = False,
) -> None:
    """Train the epochs that are left.

    Args:
        experiment: of this run.
        data: of this run.
        run_dir: the run directory.
        progress: the epochs and steps that are done.
        memory: bytes for decoded training images that are cached.
        validate: computes the figures and loss shares of a state on a part.
        interruption: says whether to stop.
        on_epoch: is called after each epoch.
        profile: whether to trace a few steps for jax's profiler.

    Raises:
        Interrupted: the run was stopped; a checkpoint is stored.
        NonFinite: a loss or gradient was not finite; the state before is stored.
    """
    config, steps_per_epoch = experiment.config, experiment.steps_per_epoch
    checkpoints = Checkpoints(run_dir, claimed=True)
    state, done, epochs = replicate(progress.state), progress.step, list(progress.epochs)
    partial_epoch = progress.partial_epoch
    step = map_training(experiment.train_step())
    schedule = config.optimizer.learning_rate.schedule(config.epochs, steps_per_epoch)
    batches = _training_batches(experiment, data, first_step=done, memory=memory)
    if profile:
        batches = _profiled(batches, run_dir / "profile")
    with progress_line() as line:
        task = line.add_task("training", total=experiment.steps, completed=done, note="")

        def show(terms: Mapping[str, float]) -> None:
            line.update(task, advance=1, note=f"loss {sum(terms.values()):.4f}")

        for epoch in range(len(epochs) + 1, config.epochs + 1):
            if stalled([monitored(row.validation, config.monitor) for row in epochs], config.patience):
                log.info("stopping early: %s has not risen (patience %d)", config.monitor, config.patience)
                break
            start, first, last = time.perf_counter(), done, epoch * steps_per_epoch
            todo = _until_interrupted(batches, first, last, interruption)
            state, losses, failure = take_steps(step, state, todo, config.skip, show)
            losses, partial_epoch = partial_epoch + losses, []
            done = int(state.step)
            seconds = time.perf_counter() - start
            measured = None
            if done == last:
                measured = validate(state, data.parts["validation"], interruption.received)
            if measured is None:
                if done != checkpoints.latest():
                    checkpoints.save(done, state, None, losses)
                stopped = f"stopped after step {done} of {experiment.steps}"
                if failure is None:
                    raise Interrupted(f"{stopped}; the same command goes on from there")
                raise NonFinite(f"{stopped}: {_describe_failure(failure, data.parts['train'])}")
            validation, loss_shares = measured
            terms = {name: float(np.mean([loss[name] for loss in losses], dtype=float)) for name in losses[0]}
            row = EpochRecord(
                step=last,
                epoch=epoch,
                loss=sum(terms.values()),
                terms=terms,
                learning_rate=np.asarray(schedule(last - 1)).item(),
                seconds=seconds,
                images_per_second=(last - first) * config.batch_size / seconds,
                validation=validation,
                loss_shares=loss_shares,
            )
            epochs.append(row)
            # The line before the checkpoint: a surplus line is dropped when the run is resumed, a missing
            # line would be missing for good.
            write_rows(run_dir / "metrics.jsonl", epochs)
            checkpoints.save(last, state, monitored(validation, config.monitor))
            log.info(_describe_epoch(row, config.epochs))
            if on_epoch is not None:
                on_epoch(row, state)
        if interruption.before_step(done):
            stopped = f"stopped after step {done} of {experiment.steps}"
            raise Interrupted(f"{stopped}; the same command goes on from there")


def _training_batches(
    experiment: Experiment, data: Prepared, *, first_step: int, memory: int
) -> Iterator[Batch]:
    """Iterate over this host's batches of the run, from a step on."""
    config, training = experiment.config, data.parts["train"]
    canvas = config.input.size or data.canvas("train")
    return training_batches(
        training,
        size=config.input.size,
        crop=config.input.crop,
        centered=config.sampling.centered,
        defective=training.defective if config.sampling.balanced else None,
        inject=config.sampling.inject or 0.0,
        present=training.present,
        batch_size=config.batch_size,
        passes=config.epochs * config.sampling.passes,
        seed=config.seed,
        first_step=first_step,
        host=jax.process_index(),
        hosts=jax.process_count(),
        masks=precomputed_masks(config.objective, len(data.classes), canvas),
        memory=memory,
    )


def _until_interrupted(
    batches: Iterator[Batch], first: int, last: int, interruption: Interruption
) -> Iterator[Batch]:
    """Yield the batches of the steps after `first` up to `last`, or fewer if the run is interrupted."""
    for step in range(first, last):
        if interruption.before_step(step):
            return
        yield next(batches)


def _profiled(batches: Iterator[Batch], out: AnyPath) -> Iterator[Batch]:
    """Yield the batches; jax's profiler traces the work on the second `_PROFILED_STEPS` of them."""
    yield from itertools.islice(batches, _PROFILED_STEPS)  # the first of these compiles the step
    with jax.profiler.trace(out):
        yield from itertools.islice(batches, _PROFILED_STEPS)
    yield from batches


class _Failure(NamedTuple):
    """A non-finite step beyond the number that may be skipped."""

    terms: dict[str, float]
    gradient_norm: float
    examples: np.ndarray
    """Positions of the images of the step in the training part."""


def take_steps(
    step: Callable,
    state: State,
    batches: Iterable[Batch],
    skip: int,
    show: Callable[[Mapping[str, float]], None],
) -> tuple[State, list[dict[str, float]], _Failure | None]:
    """Take a step on each batch, up to the first failure.

    The report of a step is fetched when the next step is under way, so that no device waits for the host;
    after a failure that next step leaves the state as it is.

    Args:
        step: of training, mapped over the devices.
        state: on the devices.
        batches: of this host.
        skip: non-finite steps of the run that may be skipped.
        show: is called with the losses of every step.

    Returns:
        The last state, the losses of the finite steps by term, and the failure, if there was one.
    """
    losses: list[dict[str, float]] = []
    pending: list[tuple[np.ndarray, StepReport]] = []

    def fetch() -> _Failure | None:
        examples, report = pending.pop(0)
        report: Any = jax.device_get(report)
        terms = {name: float(loss) for name, loss in report.terms.items()}
        show(terms)
        if np.isfinite(report.gradient_norm):
            losses.append(terms)
        return _Failure(terms, float(report.gradient_norm), examples) if report.nonfinite > skip else None

    for batch in batches:
        state, report = step(state, shard(batch))
        pending.append((batch["example"], report))
        if len(pending) > 1 and (failure := fetch()):
            return state, losses, failure
    return state, losses, fetch() if pending else None


def _describe_failure(failure: _Failure, training: Part) -> str:
    """Say in one line what was not finite, on which images, and what to do."""
    terms = ", ".join(f"{name} {loss:.4g}" for name, loss in failure.terms.items())
    names = ", ".join(training[int(example)]["name"] for example in failure.examples)
    return (
        f"the loss ({terms}) or its gradient (norm {failure.gradient_norm:.4g}) is not finite; the state "
        f"before is kept. Look at the images of this step ({names}), take a lower learning rate, or skip "
        "such steps with --skip, in another --run-dir"
    )


def _describe_epoch(row: EpochRecord, epochs: int) -> str:
    headline = row.validation.headline
    return (
        f"epoch {row.epoch}/{epochs}  loss {row.loss:.4f}  "
        f"validation IoU {'-' if headline is None else f'{headline:.3f}'}  "
        f"{row.images_per_second:.0f} images/s"
    )
