"""Training: the loop around the step, and all that it leaves in the run directory."""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from train import run_directory
from train.checkpoints import Checkpoints
from train.config import Config
from train.data.pipeline import training_batches
from train.data.prepare import Prepared
from train.data.views import Batch, resized_label
from train.evaluate import evaluate
from train.experiment import Experiment, set_up
from train.figures import figures
from train.findings import summary
from train.objective import find_option
from train.parallel import deal, over_devices, replicate
from train.screen import log, logged, progress_line
from train.start import check_start, first_state
from train.step import State
from train.stopping import stalled
from train.stored import stored_masks
from train.survey import survey, warnings
from train.survey import table as survey_table


def fit(
    config: Config,
    config_file: Path,
    *,
    run: Path,
    data_dir: Path,
    source: Path | None,
    room: int,
    console: Console,
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

    Raises:
        UserError: something that the user can mend is wrong.
    """
    experiment, data = set_up(config, data_dir=data_dir, source=source)
    check_start(experiment, run)
    with run_directory.claimed(run), logged(log_file(run / "log.txt")):
        for note in run_directory.start_or_join(run, config, config_file, experiment.facts):
            log.info("note: %s", note)
        log.info("run directory: %s", run)
        look_at_masks(config, data, run, console)
        train(experiment, data, run, room, console)
        evaluate(experiment, data, run, part="test", which="best", console=console)


def look_at_masks(config: Config, data: Prepared, run: Path, console: Console) -> None:
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


def train(experiment: Experiment, data: Prepared, run: Path, room: int, console: Console) -> None:
    """Runs the epochs that are left; arguments as of `fit`."""
    config, steps = experiment.config, experiment.steps_per_epoch
    checkpoints = Checkpoints(run / "checkpoints")
    done = checkpoints.latest() or 0
    rows = run_directory.cut_rows(run / "metrics.jsonl", done)
    if done == config.epochs * steps:
        log.info("all %d epochs are done", config.epochs)
        return
    state = experiment.restore(checkpoints, done) if done else first_state(experiment, run)
    if done:
        log.info("going on after epoch %d of %d", done // steps, config.epochs)
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
    with progress_line(console) as progress:
        task = progress.add_task("training", total=config.epochs * steps, completed=done, note="")

        def show(losses: Mapping[str, Any]) -> None:
            progress.update(task, advance=1, note=f"loss {sum(losses.values()):.4f}")

        for epoch in range(done // steps + 1, config.epochs + 1):
            if stalled(rows, config.patience, config.stop_by):
                log.info("stopping early: %s has not risen (patience %d)", config.stop_by, config.patience)
                break
            start = time.perf_counter()
            state, terms = one_epoch(step, state, itertools.islice(batches, steps), show)
            seconds = time.perf_counter() - start
            counts, found = validate(state, data.parts["validation"])
            row = {
                "step": epoch * steps,
                "epoch": epoch,
                "loss": sum(terms.values()),
                "terms": terms,
                "learning_rate": np.asarray(schedule(epoch * steps - 1)).item(),
                "seconds": seconds,
                "images_per_second": steps * config.batch_size / seconds,
                "validation": figures(counts, data.classes),
                "findings": summary(found, data.classes, config.objective, epoch / config.epochs),
            }
            # The line before the checkpoint: a line too many is cut when the run goes on, a missing one
            # would be missing for good.
            run_directory.append_row(run / "metrics.jsonl", row)
            checkpoints.save(row["step"], state, row["validation"]["headline"])
            rows.append(row)
            log.info(describe(row, config.epochs))


def one_epoch(
    step: Callable, state: State, batches: Iterable[Batch], show: Callable[[Mapping[str, Any]], None]
) -> tuple[State, dict[str, float]]:
    """The state after a step on each batch, and each term's mean loss; `show` is told every step's losses.

    A step's losses are fetched when the next step is under way, so that no device waits for us.
    """
    losses, pending = [], []
    for batch in batches:
        state, terms = step(state, deal(batch))
        pending.append(terms)
        if len(pending) > 1:
            losses.append(jax.device_get(pending.pop(0)))
            show(losses[-1])
    losses.append(jax.device_get(pending.pop()))
    show(losses[-1])
    return state, {name: float(np.mean([loss[name] for loss in losses], dtype=float)) for name in losses[0]}


def describe(row: Mapping[str, Any], epochs: int) -> str:
    """An epoch in one line."""
    headline = row["validation"]["headline"]
    return (
        f"epoch {row['epoch']}/{epochs}  loss {row['loss']:.4f}  "
        f"validation IoU {'-' if headline is None else f'{headline:.3f}'}  "
        f"{row['images_per_second']:.0f} images/s"
    )


def log_file(path: Path) -> logging.Handler:
    """Keeps what is said in a file, with the time."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    return handler
