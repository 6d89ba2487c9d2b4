"""The initial state of a run: from the seed alone, pretrained weights, or the best state of another run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from etils import epath
from flax import traverse_util

from balanced_jax.models import load_pretrained
from train.errors import UserError
from train.paths import AnyPath, absolute, check_address
from train.run.checkpoints import Checkpoints, restore_variables, store_variables
from train.run.directory import read_run
from train.run.log import log
from train.training.experiment import Experiment
from train.training.state import State, inference_state, state_from_variables, variables_of


def first_state(experiment: Experiment, run_dir: AnyPath) -> State:
    """Return the state before the first step.

    Initial variables that do not follow from the seed are read once and stored in the run directory, so that
    resuming or evaluating the run needs neither the weights file nor the other run.

    Raises:
        UserError: the initial variables cannot be read or do not fit the network; names those that do not.
            Or the stored ones are damaged.
    """
    state = experiment.random_state()
    if not _is_given(experiment):
        return state
    variables = variables_of(state)
    folder = _variables_path(run_dir)
    if not folder.exists():
        initial, origin = _read_initial(experiment, variables)
        store_variables(folder, jax.device_get(initial))
        log.info("starting from %s", origin)
    given = experiment.config.pretrained or experiment.config.init_from
    variables = restore_variables(folder, variables, f"remove this folder, and {given} is read again")
    return state_from_variables(variables, experiment.transformation, experiment.config.ema)


def check_initial(experiment: Experiment, run_dir: AnyPath) -> None:
    """Refuse initial variables that cannot be read or do not fit the network, before anything is compiled.

    Raises:
        UserError: names the variables that do not fit.
    """
    if experiment.config.pretrained is not None and experiment.config.init_from is not None:
        raise UserError("init_from: a run starts from this or from pretrained; leave one out")
    if _is_given(experiment) and not _variables_path(run_dir).exists():
        _read_initial(experiment, variables_of(jax.eval_shape(experiment.random_state)))


def _is_given(experiment: Experiment) -> bool:
    return experiment.config.pretrained is not None or experiment.config.init_from is not None


def _variables_path(run_dir: AnyPath) -> AnyPath:
    return absolute(run_dir) / "initial"


def _read_initial(experiment: Experiment, variables: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a network's variables with the given ones in their place, and the origin of these."""
    if experiment.config.init_from is not None:
        check_address(experiment.config.init_from)
        run_dir = epath.Path(experiment.config.init_from)
        return _variables_of_run(run_dir, variables, experiment.facts.classes)
    try:
        path = str(experiment.config.pretrained)
        if Path(path).exists() and not Path(path).is_file():  # reading a named pipe would never end
            raise UserError(f"pretrained: {path}: is no file; take a .safetensors or .pth file")
        return load_pretrained(path, variables), path
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"pretrained: {' '.join(str(error).split())}") from error


def _variables_of_run(
    run_dir: AnyPath, variables: Mapping[str, Any], classes: tuple[str, ...]
) -> tuple[dict[str, Any], str]:
    """Return a network's variables, replaced by those of another run's best checkpoint, and their origin.

    Variables whose shape differs only because the number of classes differs stay, and are named in the
    origin.

    Args:
        run_dir: of the other run.
        variables: of the network; `jax.ShapeDtypeStruct`s suffice.
        classes: names of the classes of the network.

    Raises:
        UserError: `run_dir` is no run with a checkpoint, or its network differs; names the first difference.
    """
    try:
        config, facts = read_run(run_dir)
        checkpoints = Checkpoints(run_dir)
        step = checkpoints.step_of("best")
    except UserError as error:
        raise UserError(f"init_from: {error}") from error
    initial = _flatten(variables)
    same_classes = Experiment(config, dataclasses.replace(facts, classes=classes))
    like = _flatten(variables_of(jax.eval_shape(same_classes.random_state)))
    for path in dict.fromkeys([*initial, *like]):
        trained_shape, shape = (tree[path].shape if path in tree else "absent" for tree in (like, initial))
        if trained_shape != shape:
            raise UserError(
                f"init_from: {run_dir}: has another network: "
                f"{path} is {trained_shape} there, {shape} in this run"
            )
    state = Experiment(config, facts).restore(checkpoints, step)
    trained = _flatten(variables_of(inference_state(state)))
    fresh = [path for path, x in initial.items() if trained[path].shape != x.shape]
    new = {path: x if path in fresh else trained[path] for path, x in initial.items()}
    origin = f"{run_dir}, step {step}"
    if fresh:
        counts = f"it has {len(facts.classes)} classes, this run {len(classes)}"
        origin += f"; {counts}, so these are new: {', '.join(fresh)}"
    return traverse_util.unflatten_dict(new, sep="/"), origin


def _flatten(variables: Mapping[str, Any]) -> dict[str, Any]:
    flat: Any = traverse_util.flatten_dict(dict(variables), sep="/")
    return flat
