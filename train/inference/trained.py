"""A trained network as inference takes it: that of a run, or the mean of several runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from train import records
from train.config import Config
from train.configfile import differences
from train.errors import UserError
from train.inference.ensemble import Ensemble, ensemble_state
from train.paths import AnyPath, relative
from train.run.checkpoints import Checkpoints, Choice, digest
from train.run.directory import data_differences, is_mean, read_run
from train.run.members import Member, read_members, write_members
from train.training.experiment import Experiment
from train.training.state import State, inference_state


class Trained(NamedTuple):
    """A trained network."""

    experiment: Experiment
    """Of the run; of a mean that of its first member, with an Ensemble in place of the network."""
    state: State
    """For inference."""
    step: int
    """Training steps that led to the state, of all members together."""
    members: Sequence[Member] = ()
    """Of a mean; none where it is a run."""


def load_trained(run_dir: AnyPath, checkpoint: Choice) -> Trained:
    """Return the trained network of the directory of a run or of a mean.

    Raises:
        UserError: there is none, or it cannot be read; of a mean also: another checkpoint than the best is
            asked for, or a member has moved, has changed, or differs from another in what a mean needs.
    """
    if not is_mean(run_dir):
        return _load_run(run_dir, checkpoint)
    _check_choice(run_dir, checkpoint)
    members = read_members(run_dir)
    return _mean({member.run_dir(run_dir): _load_member(run_dir, member) for member in members}, members)


def checkpoint_marks(run_dir: AnyPath, checkpoint: Choice) -> list[tuple[int, str | None]]:
    """Return what tells the checkpoint that `load_trained` takes from another, without reading its arrays.

    Returns:
        The step and the stored digest of the checkpoint; of a mean those of each member.

    Raises:
        UserError: the directory of the run, or of a member, is gone or damaged.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: the run directory is gone; bring it back")
    if is_mean(run_dir):
        members = [member.run_dir(run_dir) for member in read_members(run_dir)]
        return [mark for member in members for mark in checkpoint_marks(member, "best")]
    read_run(run_dir)  # orbax would make the folder of the checkpoints anew
    checkpoints = Checkpoints(run_dir)
    step = checkpoints.step_of(checkpoint)
    return [(step, checkpoints.stored_digest(step))]


def make_mean(mean_dir: AnyPath, run_dirs: Sequence[AnyPath], checkpoint: Choice) -> Trained:
    """Begin the directory of the mean of several runs, and return their mean.

    Raises:
        UserError: as `load_trained`; or the directory holds something else, or cannot be written.
    """
    _check_choice(mean_dir, checkpoint)
    names = [relative(run_dir, mean_dir) for run_dir in run_dirs]
    for run_dir, name in zip(run_dirs, names, strict=True):
        if names.count(name) > 1:
            raise UserError(f"{run_dir}: is given more than once; name each run of the mean once")
    runs = {run_dir: _load_run(run_dir, checkpoint) for run_dir in run_dirs}
    members = [
        Member(name, run.step, digest(run.state, {})) for name, run in zip(names, runs.values(), strict=True)
    ]
    mean = _mean(runs, members)
    write_members(mean_dir, members)
    return mean


def restore(experiment: Experiment, run_dir: AnyPath, checkpoint: Choice) -> Trained:
    """Return the trained network of a run whose experiment is known.

    Raises:
        UserError: the run has no checkpoint yet, or a damaged one.
    """
    checkpoints = Checkpoints(run_dir)
    step = checkpoints.step_of(checkpoint)
    return Trained(experiment, inference_state(experiment.restore(checkpoints, step)), step)


def _load_run(run_dir: AnyPath, checkpoint: Choice) -> Trained:
    return restore(Experiment(*read_run(run_dir)), run_dir, checkpoint)


def _load_member(mean_dir: AnyPath, member: Member) -> Trained:
    """Return the trained network of a member; refuse one that is not what the mean was made of."""
    run_dir = member.run_dir(mean_dir)
    remedy = f"bring it back, or make the mean anew: evaluate RUN_DIR RUN_DIR ... --out {mean_dir}"
    try:
        run = _load_run(run_dir, "best")
    except UserError as error:
        raise UserError(f"{mean_dir}: a run of this mean cannot be read ({error}); {remedy}") from error
    if (run.step, digest(run.state, {})) != (member.step, member.digest):
        raise UserError(
            f"{mean_dir}: a run of this mean has changed ({run_dir}: its best checkpoint, of step "
            f"{run.step}, is not the recorded one, of step {member.step}); {remedy}"
        )
    return run


def _check_choice(mean_dir: AnyPath, checkpoint: Choice) -> None:
    if checkpoint != "best":
        raise UserError(
            f"{mean_dir}: --checkpoint is {checkpoint}, but a mean is one of best checkpoints; leave it out"
        )


def _mean(runs: Mapping[AnyPath, Trained], members: Sequence[Member]) -> Trained:
    """Return the mean of trained networks.

    Raises:
        UserError: they differ in what they take or give; names the fields.
    """
    (first_dir, first), *others = runs.items()
    for run_dir, run in others:
        changed = data_differences(first.experiment.facts, run.experiment.facts)
        changed += differences(_images(first.experiment.config), _images(run.experiment.config))
        if changed:
            raise UserError(
                f"{run_dir}: cannot be averaged with {first_dir} ({'; '.join(changed)}); take runs on the "
                "same data, with the same input"
            )
    experiments = [run.experiment for run in runs.values()]
    model = Ensemble(tuple(each.model for each in experiments), len(first.experiment.facts.classes))
    return Trained(
        Experiment(dataclasses.replace(first.experiment.config, model=model), first.experiment.facts),
        ensemble_state([run.state for run in runs.values()]),
        sum(run.step for run in runs.values()),
        members,
    )


def _images(config: Config) -> dict[str, Any]:
    """Return how an image file becomes the input of inference, which does not crop, as JSON values."""
    return records.to_json(
        {"decoding": config.data.decoding, "input": dataclasses.replace(config.input, crop=None)}
    )
