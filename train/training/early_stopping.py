"""Early stopping: a run ends when a figure of the validation part has not risen for a while."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flax import traverse_util

from balanced_jax.metrics import ConfusionCounts
from train.config import Config
from train.errors import UserError
from train.measures.figures import figures


def stalled(rows: Sequence[Mapping[str, Any]], patience: int | None, name: str) -> bool:
    """Whether the last epochs brought no value above the best before them.

    It follows from the rows alone, so a run that was cut off ends where an unbroken one does.

    Args:
        rows: those of metrics.jsonl, one an epoch.
        patience: how many epochs may pass without a better value; None is for ever.
        name: of a figure in a row's `validation`, with dots; None there counts as less than any number.
    """
    if patience is None or not rows:
        return False
    found: Any = [traverse_util.flatten_dict(row["validation"], sep=".")[name] for row in rows]
    values = [-np.inf if value is None else value for value in found]
    best = values.index(max(values))
    return len(values) - 1 - best >= patience


def check_stopping(config: Config, classes: Sequence[str]) -> None:
    """Refuses a figure that the validation part does not have, or one that nothing waits for.

    Raises:
        UserError: names it, and the nearest one.
    """
    if config.patience is None:
        if config.stop_by != Config.stop_by:
            raise UserError(f"stop_by: {config.stop_by} has no effect without --patience")
        return
    none = np.zeros((1, len(classes)), np.int32)
    names = list(traverse_util.flatten_dict(figures(ConfusionCounts(none, none, none), classes), sep="."))
    if config.stop_by not in names:
        near = difflib.get_close_matches(config.stop_by, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise UserError(f"stop_by: the validation part has no figure {config.stop_by}; {hint}")
