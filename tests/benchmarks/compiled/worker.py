"""Compile the selected programs for one target and print the figures of each as a line of JSON.

    python -m tests.benchmarks.compiled.worker TARGET '[{"what": ["losses"], ...}, ...]'

To be run in the environment of the compilers, with the environment variables of the target: by
`tests.benchmarks.compiled.figures.compute`. Figures are kept beside the environment by a digest of all that
decides them, so that a program that has not changed is not compiled again.
"""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.compiled.figures import Figure
from tests.benchmarks.compiled.measuring import lower, measure
from tests.benchmarks.compiled.programs import Program, Selection, rows
from tests.benchmarks.compiled.targets import Name, devices

KEPT = Path(__file__).with_name(".figures")
_DECIDING = ("h100.textproto", "hlo.py", "measuring.py", "operations.py", "requirements.txt", "targets.py")
"""Files that decide the figures of a given program."""


def main(target: Name, selections: list[Selection]) -> None:
    chips = devices(target)
    for row in (row for selection in selections for row in rows(selection, target)):
        for side, program in row.make().items():
            figures = kept_or_measured(target, program, chips)
            figure = Figure(target, row.what, row.name, row.classes, row.dtype, side, **figures)
            print(json.dumps(dataclasses.asdict(figure)), flush=True)


def kept_or_measured(target: Name, program: Program, chips: list[Any]) -> dict[str, Any]:
    """Return the figures of a program, those of an earlier run if it is the same program."""
    lowered = lower(program, chips)
    deciding = [Path(__file__).with_name(name).read_text() for name in _DECIDING]
    digest = hashlib.sha256("\n".join([target, lowered.as_text(), *deciding]).encode()).hexdigest()
    path = KEPT / f"{digest}.json"
    if not path.exists():
        figures = measure(program, lowered, chips)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(figures))
    return json.loads(path.read_text())


if __name__ == "__main__":
    chip: Any
    chip, chosen = sys.argv[1:]
    main(chip, [Selection(**selection) for selection in json.loads(chosen)])
