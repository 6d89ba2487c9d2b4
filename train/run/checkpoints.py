"""The latest and the best state of a run, stored by orbax."""

import errno
import os
import shutil
from collections.abc import Sequence
from typing import Any, Literal

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from train.errors import MAKE_ROOM, UserError, writing
from train.paths import AnyPath, absolute

_OVERHEAD = 2**13
"""Bytes that an array takes on the disk besides its values; half of that was measured."""

Choice = Literal["best", "latest"]
"""The checkpoint that is best on the validation part by the config's `monitor`, or the latest."""


class Checkpoints:
    """The checkpoints of one run. A write that is cut off leaves the earlier checkpoints whole."""

    def __init__(self, run_dir: AnyPath):
        self._run_dir = run_dir
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(get_metric_fn=_monitored, n=1),
            ]
        )
        self._manager = ocp.CheckpointManager(
            absolute(run_dir / "checkpoints"),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=_monitored,
                # The next training step reuses the memory of the state, so the state must be on disk before.
                enable_async_checkpointing=False,
            ),
        )

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
        with writing(f"{self._manager.directory}", MAKE_ROOM):
            _check_room(self._manager.directory, state)
            self._manager.save(
                step,
                args=ocp.args.StandardSave(state),
                metrics={"monitored": -1.0 if monitored is None else monitored},
                custom_metadata={"partial_epoch": list(partial_epoch)},
            )

    def partial_epoch(self, step: int) -> list[Any]:
        """Return the losses of an unfinished epoch that were stored with the state of a step."""
        return self._manager.metadata(step).custom_metadata["partial_epoch"]

    def latest(self) -> int | None:
        """Return the step of the latest state."""
        return self._manager.latest_step()

    def step_of(self, checkpoint: Choice) -> int:
        """Return the step of the best or the latest state.

        Raises:
            UserError: there is none yet.
        """
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
        """
        template = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(template))


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
