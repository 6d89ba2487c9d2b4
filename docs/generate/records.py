"""The records that JSON files hold, field by field."""

from typing import get_args, get_origin

from docs.generate import kinds
from docs.generate.fields import documentation, own_fields
from docs.generate.tables import code, table
from train.comparison.records import ComparisonRecord
from train.data.facts import DataFacts
from train.inspection.label_statistics import LabelStatistics
from train.inspection.muting import Muting
from train.measures.records import EpochRecord, Evaluation
from train.run.decision import Decision

FILES: dict[str, type] = {
    "config": DataFacts,
    "metrics": EpochRecord,
    "muting": Muting,
    "evaluation": Evaluation,
    "decision": Decision,
    "comparison": ComparisonRecord,
    "statistics": LabelStatistics,
}
"""The record of each file, in the order of the page that includes all of them."""


def pages() -> dict[str, str]:
    """Return the tables of each file; a record has one table, where it comes first."""
    seen: set[type] = set()
    return {f"records_{name}.md": _tables(kind, seen) for name, kind in FILES.items()}


def _tables(kind: type, seen: set[type]) -> str:
    """Return the table of a record, then those of the records that it holds."""
    if kind in seen:
        return ""
    seen.add(kind)
    fields = own_fields(kind)
    bases = [base for base in kind.__bases__ if base.__module__.startswith("train.")]
    text = f"### {kind.__name__}\n\n{documentation(kind)}"
    text += "".join(f" It also has the fields of {_link(base)}." for base in bases) + "\n\n"
    text += table(
        ("field", "holds", "meaning"),
        [(code(field.name), kinds.json(field.hint, _link), field.meaning) for field in fields],
    )
    held = [record for field in fields for record in _records(field.hint)]
    return "\n".join([text, *(_tables(each, seen) for each in (*bases, *held) if each not in seen)])


def _link(kind: type) -> str:
    name = getattr(kind, "__name__", str(kind))
    return f"[{name}](#{name.lower()})"


def _records(hint: object) -> list[type]:
    """Return the records within a type."""
    kind = get_origin(hint) or hint
    if isinstance(kind, type) and kind.__module__.startswith("train."):
        return [kind]
    return [record for each in get_args(hint) for record in _records(each)]
