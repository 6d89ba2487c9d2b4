"""What each part of the balanced loss adds to the others on labels that are too thin, from the kept cells."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from configs.topomortar_small import comparisons
from docs.generate.evidence import record
from train.display.comparison.tables import difference_text

_BASE = dataclasses.replace(comparisons["noisy"], seeds=(0,))
_PARTS = ("truncation", "class_weights", "confusion")
"""Each is the name of an objective, and a part of the names of those that have several."""


def write(folder: Path) -> None:
    """Write topomortar_parts.md into a folder."""
    (folder / "topomortar_parts.md").write_text("\n".join(_lines()) + "\n", encoding="utf-8")


def _lines() -> Iterator[str]:
    yield "| part | added to | IoU [95 %] | IoU under thresholds [95 %] |"
    yield "|---|---|---|---|"
    for part in _PARTS:
        others = [other for other in _PARTS if other != part]
        for number in range(len(_PARTS)):
            for chosen in itertools.combinations(others, number):
                without, combined = _objective(chosen), _objective((*chosen, part))
                yield f"| `{part}` | `{without}` | {' | '.join(_differences(without, combined))} |"


def _objective(parts: Sequence[str]) -> str:
    """Return the name of the objective that has these parts."""
    if len(parts) == len(_PARTS):
        return "paper"
    return "_".join(sorted(parts, key=_PARTS.index)) or "cross_entropy"


def _differences(without: str, combined: str) -> list[str]:
    """Return what the IoU of one objective gains over that of another, under both decision rules."""
    objectives = {name: _BASE.objectives[name] for name in (without, combined)}
    comparison = dataclasses.replace(_BASE, objectives=objectives)
    [_, row] = record("parts", "topomortar_noisy", comparison).rows
    return [difference_text(rule, " ") for rule in (row.most_probable, row.decided)]
