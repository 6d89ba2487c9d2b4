"""What training starts from: the seed alone, pretrained weights, or the best state of another run."""

from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from flax import traverse_util

from balanced_jax.models import load_pretrained
from train.errors import UserError
from train.paths import Place, absolute
from train.run import directory as run_directory
from train.run.checkpoints import Checkpoints, chosen
from train.run.log import log
from train.training.experiment import Experiment
from train.training.step import State, evaluated, state_before


def first_state(experiment: Experiment, run: Place) -> State:
    """The state before the first step.

    A start that does not follow from the seed is read once and kept in the run directory, so that to go on
    with the run, or to evaluate it, nobody needs the file or the other run again.

    Raises:
        UserError: the start cannot be read or does not fit the network; says what does not.
    """
    state = experiment.random_state()
    if not _given(experiment):
        return state
    variables = _variables(state)
    with ocp.StandardCheckpointer() as keeper:
        if not _kept(run).exists():
            started, note = _started(experiment, variables)
            keeper.save(_kept(run), jax.device_get(started))
            keeper.wait_until_finished()
            log.info("starting from %s", note)
        variables = keeper.restore(_kept(run), jax.eval_shape(lambda: variables))
    return state_before(variables, experiment.transformation, experiment.config.ema)


def check_start(experiment: Experiment, run: Place) -> None:
    """Refuses a start that cannot be read or does not fit the network, before anything is compiled.

    Raises:
        UserError: says what does not.
    """
    if experiment.config.pretrained is not None and experiment.config.init_from is not None:
        raise UserError("init_from: a run starts from this or from pretrained; leave one out")
    if _given(experiment) and not _kept(run).exists():
        state = jax.eval_shape(experiment.random_state)
        _started(experiment, _variables(state))


def _given(experiment: Experiment) -> bool:
    return experiment.config.pretrained is not None or experiment.config.init_from is not None


def _kept(run: Place) -> Place:
    return absolute(run) / "start"


def _started(experiment: Experiment, variables: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A network's variables with those of the start in their place, and where they are from."""
    if experiment.config.init_from is not None:
        return of_run(epath.Path(experiment.config.init_from), variables, experiment.facts.classes)
    try:
        path = str(experiment.config.pretrained)
        return load_pretrained(path, variables), path
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"pretrained: {' '.join(str(error).split())}") from error


def of_run(run: Place, variables: Mapping[str, Any], classes: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """A network's variables with those of a run's best checkpoint in their place, and where they are from.

    What has another shape there for no other reason than another number of classes stays, and is named.

    Args:
        run: the run directory.
        variables: of the network; shapes are enough.
        classes: their names.

    Raises:
        UserError: this is no run with a checkpoint, or one of another network; names the first difference.
    """
    try:
        config, facts = run_directory.stored(run)
        checkpoints = Checkpoints(run / "checkpoints")
        step = chosen(checkpoints, "best", run)
    except UserError as error:
        raise UserError(f"init_from: {error}") from error
    ours = _flat(variables)
    like = _flat(_variables(jax.eval_shape(Experiment(config, facts._replace(classes=classes)).random_state)))
    for address in dict.fromkeys([*ours, *like]):
        there, here = (tree[address].shape if address in tree else "absent" for tree in (like, ours))
        if there != here:
            raise UserError(f"init_from: {run}: has another network: {address} is {there} there, {here} here")
    theirs = _flat(_variables(evaluated(Experiment(config, facts).restore(checkpoints, step))))
    fresh = [address for address, x in ours.items() if theirs[address].shape != x.shape]
    new = {address: x if address in fresh else theirs[address] for address, x in ours.items()}
    note = f"{run}, step {step}"
    if fresh:
        note += (
            f"; {len(facts.classes)} classes there, {len(classes)} here, so these are new: {', '.join(fresh)}"
        )
    return traverse_util.unflatten_dict(new, sep="/"), note


def _variables(state: State) -> dict[str, Any]:
    return {"params": state.params, **state.collections}


def _flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    flat: Any = traverse_util.flatten_dict(dict(variables), sep="/")
    return flat
