"""The monitored figure of the validation part: early stopping, and the choice of the best checkpoint."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import traverse_util

from balanced_jax.metrics import ConfusionCounts
from train import records
from train.errors import UserError, suggestion
from train.measures.figures import figures
from train.measures.records import Figures


def monitored(validation: Figures, monitor: str) -> float | None:
    """Return a figure by its path, such as "classes.scratch.iou.dataset"; None if it has no value."""
    return _by_path(validation)[monitor]


def stalled(values: Sequence[float | None], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought no value above the best before them.

    The answer depends on the values alone, so a resumed run stops where an unbroken run stops.

    Args:
        values: the monitored figure after each epoch; None is below any number.
        patience: None never stops.
    """
    if patience is None or not values:
        return False
    known = [-np.inf if value is None else value for value in values]
    return len(known) - 1 - known.index(max(known)) >= patience


def check_monitor(monitor: str, classes: Sequence[str]) -> None:
    """Refuse a figure that the validation part does not have.

    Raises:
        UserError: names the figure, and the nearest one.
    """
    none = np.zeros((1, len(classes)), np.int32)
    names = _by_path(figures(ConfusionCounts(none, none, none), classes))
    if monitor not in names:
        hint = suggestion(monitor, names, "there are")
        raise UserError(f"monitor: the validation part has no figure {monitor}; {hint}")


def _by_path(validation: Figures) -> dict[str, float | None]:
    by_path: Any = traverse_util.flatten_dict(records.to_json(validation), sep=".")
    return by_path
