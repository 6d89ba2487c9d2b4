"""The latest and the best state of a run, kept by orbax."""

import errno
import os
import shutil
from collections.abc import Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from train.errors import MAKE_ROOM, UserError, writing
from train.paths import Place, absolute

BESIDES = 2**13
"""Bytes that an array takes on the disk besides its values; half of that was seen."""


class Checkpoints:
    """The checkpoints of one run. A write that is cut off leaves the earlier ones whole."""

    def __init__(self, directory: Place):
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(get_metric_fn=_headline, n=1),
            ]
        )
        self._manager = ocp.CheckpointManager(
            absolute(directory),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=_headline,
                # The next step reuses the state's memory, so it must be on disk before.
                enable_async_checkpointing=False,
            ),
        )

    def save(self, step: int, state: Any, headline: float | None, begun: Sequence[Any] = ()) -> None:
        """Keeps a state as the latest, and as the best if its headline figure is.

        Args:
            step: how many steps led to it.
            state: a tree of arrays.
            headline: its figure on the validation part; None where there is none.
            begun: what is known of the steps of an epoch that has only begun, as JSON.

        Raises:
            UserError: there is no room for it; the earlier ones are whole.
        """
        state = jax.device_get(state)
        with writing(f"{self._manager.directory}", MAKE_ROOM):
            check_room(self._manager.directory, state)
            self._manager.save(
                step,
                args=ocp.args.StandardSave(state),
                metrics={"headline": -1.0 if headline is None else headline},
                custom_metadata={"begun": list(begun)},
            )

    def begun(self, step: int) -> list[Any]:
        """What was kept of an epoch that had only begun at a step."""
        return self._manager.metadata(step).custom_metadata["begun"]

    def latest(self) -> int | None:
        """Step of the latest state."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """Step of the best state."""
        return self._manager.best_step()

    def restore(self, step: int, like: Any) -> Any:
        """The state of a step, as NumPy arrays.

        Args:
            step: one that is kept.
            like: a state of the same structure, shapes and types; its values are not looked at.
        """
        template = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(template))


def check_room(directory: os.PathLike, state: Any) -> None:
    """Raises the system's own error where a state would not fit on the disk.

    Before anything is written, because tensorstore's threads print a page of tracebacks over a full disk.
    """
    arrays = jax.tree.leaves(state)
    try:
        free = shutil.disk_usage(directory).free
    except FileNotFoundError:  # it is no disk but a bucket, which is never full
        return
    if free < sum(x.nbytes for x in arrays) + BESIDES * len(arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def chosen(checkpoints: Checkpoints, which: str, run: Place) -> int:
    """Step of the checkpoint that is called `best` or `latest`.

    Raises:
        UserError: there is none yet.
    """
    step = checkpoints.best() if which == "best" else checkpoints.latest()
    if step is None:
        raise UserError(f"{run}: has no checkpoint yet; run `fit` until its first epoch is done")
    return step


def _headline(metrics: Any) -> float:
    return metrics["headline"]
