"""The latest and the best state of a run, stored by orbax.

orbax stores no checksums of arrays: many single bits of a checkpoint can change without an error. So a digest
of the state lies in the metadata of each checkpoint, beside a copy of the figure that the best is chosen by.
"""

import contextlib
import errno
import functools
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from train.errors import MAKE_ROOM, UserError, writing
from train.parallel import is_first_host
from train.paths import AnyPath, absolute

_logger = logging.getLogger(__name__)
# orbax logs remarks on damaged files, and asyncio the errors of further arrays that orbax did not wait for,
# besides the error that becomes a UserError.
for _name in ("absl", "asyncio"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_COPY_OR_ANEW = "bring it back from a copy, or train anew with another --run-dir"
_DELETED = "deleted"
"""Folder where checkpoints wait for deletion, so that what a kill leaves half deleted is no checkpoint."""
_OVERHEAD = 2**13
"""Bytes that an array takes on the disk besides its values; half of that was measured."""

Choice = Literal["best", "latest"]
"""The checkpoint that is best on the validation part by the config's `monitor`, or the latest."""


class Checkpoints:
    """The checkpoints of one run. A write that is cut off leaves the earlier checkpoints whole."""

    def __init__(self, run_dir: AnyPath, *, claimed: bool = False):
        """Open the checkpoints of a run.

        Args:
            run_dir: the run directory.
            claimed: whether this run alone writes there, so that what a kill has left half written or half
                deleted is removed.

        Raises:
            UserError: a checkpoint has lost the figure that the best is chosen by, or is damaged.
        """
        self._run_dir = run_dir
        directory = absolute(run_dir / "checkpoints")
        _check_figures(directory)
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(get_metric_fn=_monitored, n=1),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=keep,
            best_fn=_monitored,
            # The next training step reuses the memory of the state, so the state must be on disk before.
            enable_async_checkpointing=False,
            cleanup_tmp_directories=claimed,
            todelete_subdir=None if "://" in os.fspath(directory) else _DELETED,
        )
        try:
            self._manager = ocp.CheckpointManager(directory, options=options)
        except (ValueError, LookupError, TypeError) as error:  # orbax before 0.12, over damaged metadata
            raise UserError(f"{directory}: is damaged ({_first_words(error)}); {_COPY_OR_ANEW}") from error
        if claimed:
            self._empty_deleted()

    def save(self, step: int, state: Any, monitored: float | None, partial_epoch: Sequence[Any] = ()) -> None:
        """Store a state as the latest, and as the best if no earlier figure is larger.

        Args:
            step: training steps that led to the state.
            state: a tree of arrays.
            monitored: the figure of the validation part that the best checkpoint is chosen by; None if there
                is none.
            partial_epoch: losses of the steps of an unfinished epoch, as JSON values.

        Raises:
            UserError: the disk is full; the earlier checkpoints are whole.
        """
        state = jax.device_get(state)
        figure = -1.0 if monitored is None else monitored
        custom = {"partial_epoch": list(partial_epoch), "monitored": figure}
        with writing(f"{self._manager.directory}", MAKE_ROOM):
            _check_room(self._manager.directory, state)
            if step in self._manager.all_steps():  # stored without its figure, by a run that was stopped then
                self._manager.delete(step)
            self._manager.save(
                step,
                args=ocp.args.StandardSave(state),
                metrics={"monitored": figure},
                custom_metadata={**custom, "digest": digest(state, custom)},
            )
        self._empty_deleted()

    def partial_epoch(self, step: int) -> list[Any]:
        """Return the losses of an unfinished epoch that were stored with the state of a step."""
        return self._metadata(step)["partial_epoch"]

    def stored_digest(self, step: int) -> str | None:
        """Return the digest that was stored with the state of a step; None of an earlier version."""
        return self._metadata(step).get("digest")

    def latest(self) -> int | None:
        """Return the step of the latest state."""
        return self._manager.latest_step()

    def step_of(self, checkpoint: Choice) -> int:
        """Return the step of the best or the latest state.

        Raises:
            UserError: there is none yet, or the figures that the best is chosen by are damaged.
        """
        if checkpoint == "best":
            for step in self._manager.all_steps():
                stored, figure = self._metadata(step), self._manager.metrics(step)
                if figure is None or stored.get("monitored", figure["monitored"]) != figure["monitored"]:
                    raise _lost_figure(self._manager.directory / str(step))
        step = self._manager.best_step() if checkpoint == "best" else self._manager.latest_step()
        if step is None:
            raise UserError(
                f"{self._run_dir}: has no checkpoint yet; run `fit` until its first epoch is done"
            )
        return step

    def restore(self, step: int, like: Any) -> Any:
        """Return the state of a step, as NumPy arrays.

        Args:
            step: of a stored state.
            like: a state of the same structure, shapes and dtypes, or their `jax.ShapeDtypeStruct`s.

        Raises:
            UserError: the checkpoint is damaged; the message offers another one that is whole.
        """
        try:
            return self._read(step, like)
        except _DamagedError as error:
            folder = self._manager.directory / str(step)
            raise UserError(f"{folder}: is damaged ({error}); {self._remedy(step, like)}") from error

    def _read(self, step: int, like: Any) -> Any:
        """Return the state of a step; raise _DamagedError if it is not what was stored."""
        _silence_late_callbacks()
        template = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like)
        metadata = dict(self._metadata(step))
        try:
            state = self._manager.restore(step, args=ocp.args.StandardRestore(template))
        except Exception as error:  # orbax and tensorstore raise exceptions of many kinds over damaged files
            raise _DamagedError(_first_words(error)) from error
        stored = metadata.pop("digest", None)
        if stored is None and "monitored" not in metadata:
            folder = self._manager.directory / str(step)
            _logger.warning("note: %s: is of an earlier version, without a digest; not checked", folder)
        elif stored != digest(state, metadata):
            raise _DamagedError("its content has changed since it was written")
        return state

    def _metadata(self, step: int) -> dict[str, Any]:
        """Return what was stored beside the state of a step; raise UserError if it cannot be read."""
        folder = self._manager.directory / str(step)
        try:
            # `CheckpointManager.metadata` logs warnings on arrays before they are restored.
            metadata = json.loads((folder / "_CHECKPOINT_METADATA").read_text())["custom_metadata"]
            if not isinstance(metadata["partial_epoch"], list):
                raise TypeError
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"{folder}: is damaged (_CHECKPOINT_METADATA); {_remove(folder)}") from error
        return metadata

    def _remedy(self, step: int, like: Any) -> str:
        """Say which other checkpoint is whole."""
        for other in sorted(set(self._manager.all_steps()) - {step}, reverse=True):
            with contextlib.suppress(_DamagedError, UserError):
                self._read(other, like)
                return f"remove this folder, and the checkpoint of step {other}, which is whole, is taken"
        return _COPY_OR_ANEW

    def _empty_deleted(self) -> None:
        """Remove what waits for its deletion, and what a kill has left of it.

        The folder itself stays, because another process may be about to move a checkpoint there.
        """
        with contextlib.suppress(OSError):
            for checkpoint in (self._manager.directory / _DELETED).iterdir():
                shutil.rmtree(checkpoint, ignore_errors=True)


def store_variables(folder: AnyPath, variables: Any) -> None:
    """Store a tree of arrays in a new folder, with a digest of it."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, variables, custom_metadata={"digest": digest(variables, {})})


def restore_variables(folder: AnyPath, like: Any, remedy: str) -> Any:
    """Return the tree of arrays that a folder holds.

    Args:
        folder: where it was stored; by an earlier version without a digest, which is then not checked.
        like: a tree of the same structure, shapes and dtypes.
        remedy: ends the message where the folder is damaged.

    Raises:
        UserError: the folder is damaged.
    """
    _silence_late_callbacks()
    try:
        metadata = json.loads((folder / "_CHECKPOINT_METADATA").read_text())
        with ocp.StandardCheckpointer() as checkpointer:
            variables = checkpointer.restore(folder, jax.eval_shape(lambda: like))
        stored = (metadata.get("custom_metadata") or {}).get("digest")
        if stored is not None and stored != digest(variables, {}):
            raise _DamagedError("its content has changed since it was written")
    except Exception as error:  # orbax and tensorstore raise exceptions of many kinds over damaged files
        raise UserError(f"{folder}: is damaged ({_first_words(error)}); {remedy}") from error
    return variables


@functools.cache
def _silence_late_callbacks() -> None:
    """Drop what tensorstore prints as it calls back into an event loop that orbax has closed on an error."""
    previous = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            previous(unraisable)

    sys.unraisablehook = hook


class _DamagedError(Exception):
    """A checkpoint is not what was stored; the message says why."""


def digest(tree: Any, metadata: Mapping[str, Any]) -> str:
    """Return a digest of the arrays of a tree, and of what is stored beside them."""
    content = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        content.update(f"{leaf.dtype} {leaf.shape}".encode())
        content.update(np.ascontiguousarray(leaf).view(np.uint8).data if leaf.ndim else leaf.tobytes())
    return content.hexdigest()


def put_back(run_dir: AnyPath) -> None:
    """Put the latest checkpoint of a run back where a kill came while it was stored again, with its figure.

    To be called by the run that has claimed the directory, before it looks for its latest checkpoint.
    """
    directory = run_dir / "checkpoints"
    steps, deleted = (
        [int(f.name) for f in folder.glob("*") if f.name.isdigit()]
        for folder in (directory, directory / _DELETED)
    )
    if is_first_host() and max(deleted, default=-1) > max(steps, default=-1):
        name = f"{max(deleted)}"
        (directory / _DELETED / name).rename(directory / name)


def _check_figures(directory: AnyPath) -> None:
    """Refuse checkpoints without the figure that the best is chosen by, or another would be the best."""
    for folder in sorted(directory.iterdir()) if directory.is_dir() else ():
        if folder.name.isdigit():
            try:
                figure = json.loads((folder / "metrics" / "metrics").read_text())["monitored"]
            except (OSError, ValueError, LookupError, TypeError):
                figure = None
            if not isinstance(figure, int | float) and folder.exists():  # else just now deleted by a run
                raise _lost_figure(folder)


def _lost_figure(folder: AnyPath) -> UserError:
    return UserError(
        f"{folder}: has lost the figure that the best checkpoint is chosen by (metrics/metrics); "
        f"{_remove(folder)}"
    )


def _remove(folder: AnyPath) -> str:
    """Say which checkpoints are left without a folder."""
    others = [f.name for f in folder.parent.iterdir() if f.name.isdigit() and f.name != folder.name]
    if not others:
        return _COPY_OR_ANEW
    return f"bring it back from a copy, or remove this folder, and go on from step {max(others, key=int)}"


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _check_room(directory: os.PathLike, state: Any) -> None:
    """Raise the system's error if a state does not fit on the disk.

    Checked before writing, because the threads of tensorstore print a page of tracebacks over a full disk.
    """
    arrays = jax.tree.leaves(state)
    try:
        free = shutil.disk_usage(directory).free
    except FileNotFoundError:  # a bucket, which is never full
        return
    if free < sum(x.nbytes for x in arrays) + _OVERHEAD * len(arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _monitored(metrics: Any) -> float:
    return metrics["monitored"]
