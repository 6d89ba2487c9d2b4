"""Training: the loop around the step, and all that it leaves in the run directory."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console

from train.commands.evaluate import evaluate
from train.config import Config
from train.data.cache import Batch
from train.data.pipeline import training_batches
from train.data.prepare import Part, Prepared
from train.data.resize import resized_label
from train.display.tensorboard import tensorboard
from train.errors import NotFinite, Stopped
from train.inspection.muting import survey, warnings
from train.inspection.muting import table as survey_table
from train.measures.figures import figures
from train.measures.loss_shares import summary
from train.parallel import deal, is_first, over_devices, refused_together, replicate
from train.paths import Place
from train.run import directory as run_directory
from train.run.checkpoints import Checkpoints
from train.run.interrupt import when_to_stop
from train.run.log import log, logged, progress_line
from train.training.early_stopping import stalled
from train.training.experiment import Experiment, set_up
from train.training.initial import check_start, first_state
from train.training.objective import find_option
from train.training.precomputed_masks import stored_masks
from train.training.step import Report, State

TRACED = 5
"""Steps that a profile shows, after as many that it does not."""


def fit(
    config: Config,
    config_file: Path,
    *,
    run: Place,
    data_dir: Path,
    source: Path | None,
    room: int,
    console: Console,
    curves: bool = False,
    profile: bool = False,
) -> None:
    """Trains, or goes on training, and evaluates the best state on the test part.

    Args:
        config: the resolved config.
        config_file: the file it came from.
        run: the run directory; one that exists is gone on with.
        data_dir: where prepared data lives.
        source: an unpacked original of the data set, where it needs one.
        room: bytes of memory for training images that are kept decoded.
        console: where a person looks.
        curves: whether TensorBoard's files are written.
        profile: whether a few steps are traced.

    Raises:
        UserError: something that the user can mend is wrong.
    """
    with contextlib.ExitStack() as held:
        with refused_together():
            experiment, data = set_up(config, data_dir=data_dir, source=source)
            check_start(experiment, run)
            held.enter_context(run_directory.claimed(run))
            held.enter_context(logged(run_directory.LogFile(run / "log.txt")))
            for note in run_directory.start_or_join(run, config, config_file, experiment.facts):
                log.info("note: %s", note)
        log.info("run directory: %s", run)
        look_at_masks(config, data, run, console)
        with when_to_stop() as stopping:
            train(experiment, data, run, room, stopping, console, curves, profile)
        evaluate(experiment, data, run, part="test", which="best", console=console)


def look_at_masks(config: Config, data: Prepared, run: Place, console: Console) -> None:
    """Says, once per run, what the confusion mask leaves of each class at the network's input size."""
    if (run / "survey.json").exists():
        return
    windows = {find_option(term, "window") for term in config.objective.values()} - {None}
    size = config.input.size
    labels = (
        example["label"] if size is None else resized_label(example["label"], size)
        for example in data.parts["train"]
    )
    found = survey(labels, data.classes, max(windows, default=None))
    run_directory.write_json(run / "survey.json", found)
    console.print(survey_table(found))
    for warning in warnings(found):
        log.warning("warning: %s", warning)


def train(
    experiment: Experiment,
    data: Prepared,
    run: Place,
    room: int,
    stopping: Callable[[int], bool],
    console: Console,
    curves: bool = False,
    profile: bool = False,
) -> None:
    """Runs the epochs that are left; arguments as of `fit`, and whether the run is to stop at a step."""
    config, steps = experiment.config, experiment.steps_per_epoch
    checkpoints = Checkpoints(run / "checkpoints")
    done = checkpoints.latest() or 0
    # A line past the checkpoint is from an epoch whose state was not kept.
    rows = [row for row in run_directory.read_rows(run / "metrics.jsonl") if row["step"] <= done]
    if len(rows) == config.epochs:
        log.info("all %d epochs are done", config.epochs)
        return
    state = experiment.restore(checkpoints, done) if done else first_state(experiment, run)
    begun = checkpoints.begun(done) if done else []
    if done:
        log.info("going on after step %d of %d", done, config.epochs * steps)
    state = replicate(state)
    step = over_devices(experiment.train_step())
    validate = experiment.validator(data.canvas("validation"))
    schedule = config.optimizer.learning_rate.schedule(config.epochs, steps)
    training = data.parts["train"]
    batches = training_batches(
        training,
        size=config.input.size,
        crop=config.input.crop,
        centred=config.sampling.centred,
        defective=training.defective if config.sampling.balanced else None,
        batch_size=config.batch_size,
        passes=config.epochs * config.sampling.passes,
        seed=config.seed,
        first_step=done,
        host=jax.process_index(),
        hosts=jax.process_count(),
        masks=stored_masks(config.objective, len(data.classes), config.input.size or data.canvas("train")),
        room=room,
    )
    if profile:
        batches = traced(batches, run / "profile")
    watching = contextlib.nullcontext()
    if curves and is_first():
        watching = tensorboard(experiment, data, run / "tensorboard", done)
    with progress_line(console) as progress, watching as show_epoch:
        task = progress.add_task("training", total=config.epochs * steps, completed=done, note="")

        def show(terms: Mapping[str, float]) -> None:
            progress.update(task, advance=1, note=f"loss {sum(terms.values()):.4f}")

        for epoch in range(len(rows) + 1, config.epochs + 1):
            if stalled(rows, config.patience, config.stop_by):
                log.info("stopping early: %s has not risen (patience %d)", config.stop_by, config.patience)
                break
            start, first, last = time.perf_counter(), done, epoch * steps
            todo = until(stopping, batches, first, last)
            state, losses, failed = take_steps(step, state, todo, config.skip, show)
            losses = begun + losses
            done, begun = int(state.step), []
            if done < last:
                if done != checkpoints.latest():
                    checkpoints.save(done, state, None, losses)
                stopped = f"stopped after step {done} of {config.epochs * steps}"
                if failed is None:
                    raise Stopped(f"{stopped}; the same command goes on from there")
                raise NotFinite(f"{stopped}: {describe_failure(failed, training)}")
            seconds = time.perf_counter() - start
            counts, found = validate(state, data.parts["validation"])
            terms = {name: float(np.mean([loss[name] for loss in losses], dtype=float)) for name in losses[0]}
            row = {
                "step": last,
                "epoch": epoch,
                "loss": sum(terms.values()),
                "terms": terms,
                "learning_rate": np.asarray(schedule(last - 1)).item(),
                "seconds": seconds,
                "images_per_second": (last - first) * config.batch_size / seconds,
                "validation": figures(counts, data.classes),
                "findings": summary(found, data.classes, config.objective, epoch / config.epochs),
            }
            rows.append(row)
            # The line before the checkpoint: a line too many is left out when the run goes on, a missing one
            # would be missing for good.
            run_directory.write_rows(run / "metrics.jsonl", rows)
            checkpoints.save(last, state, row["validation"]["headline"])
            log.info(describe(row, config.epochs))
            if show_epoch is not None:
                show_epoch(row, state)


def until(
    stopping: Callable[[int], bool], batches: Iterator[Batch], first: int, last: int
) -> Iterator[Batch]:
    """The batches of the steps after `first` up to `last`, or fewer if the run is to stop."""
    for step in range(first, last):
        if stopping(step):
            return
        yield next(batches)


def traced(batches: Iterator[Batch], out: Place) -> Iterator[Batch]:
    """The same batches; while the second five of them are worked on, jax's profiler looks on."""
    yield from itertools.islice(batches, TRACED)  # while these are, the step is compiled
    with jax.profiler.trace(out):
        yield from itertools.islice(batches, TRACED)
    yield from batches


class Failure(NamedTuple):
    """A step that was not finite, after as many as are left out."""

    terms: dict[str, float]
    gradient_norm: float
    examples: np.ndarray
    """Positions of its images in the training part."""


def take_steps(
    step: Callable,
    state: State,
    batches: Iterable[Batch],
    skip: int,
    show: Callable[[Mapping[str, float]], None],
) -> tuple[State, list[dict[str, float]], Failure | None]:
    """Takes a step on each batch, up to the first that fails.

    A step's report is fetched when the next one is under way, so that no device waits for us; after a failure
    that next one leaves the state as it is.

    Args:
        step: of training, mapped over the devices.
        state: on the devices.
        batches: of this host.
        skip: how many steps of the run may be left out because they are not finite.
        show: is told the losses of every step.

    Returns:
        The last state, the losses of the finite steps by term, and the failure, if there was one.
    """
    losses: list[dict[str, float]] = []
    pending: list[tuple[np.ndarray, Report]] = []

    def settle() -> Failure | None:
        examples, report = pending.pop(0)
        report = jax.device_get(report)
        terms = {name: float(loss) for name, loss in report.terms.items()}
        show(terms)
        if np.isfinite(report.gradient_norm):
            losses.append(terms)
        return Failure(terms, float(report.gradient_norm), examples) if report.bad > skip else None

    for batch in batches:
        state, report = step(state, deal(batch))
        pending.append((batch["example"], report))
        if len(pending) > 1 and (failure := settle()):
            return state, losses, failure
    return state, losses, settle() if pending else None


def describe_failure(failure: Failure, training: Part) -> str:
    """What was not finite, on which images, and what to do, in one line."""
    terms = ", ".join(f"{name} {loss:.4g}" for name, loss in failure.terms.items())
    names = ", ".join(training[int(example)]["name"] for example in failure.examples)
    return (
        f"the loss ({terms}) or its gradient (length {failure.gradient_norm:.4g}) is not finite; the state "
        f"before it is kept. Look at its images ({names}), take a lower learning rate, or leave such steps "
        "out with --skip, in another --run-dir"
    )


def describe(row: Mapping[str, Any], epochs: int) -> str:
    """An epoch in one line."""
    headline = row["validation"]["headline"]
    return (
        f"epoch {row['epoch']}/{epochs}  loss {row['loss']:.4f}  "
        f"validation IoU {'-' if headline is None else f'{headline:.3f}'}  "
        f"{row['images_per_second']:.0f} images/s"
    )
