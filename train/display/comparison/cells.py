"""The cells of a comparison as its page lists them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from train.comparison.records import CellRecord

_DASH = "\N{EN DASH}"
_COMMIT_LETTERS = 10


class CellRow(NamedTuple):
    """One cell and its origin as text."""

    cell: CellRecord
    started: str
    commit: str
    versions: str
    """Of the packages whose version is not that of all other cells."""


class CellRows(NamedTuple):
    """All cells; what is true of every cell with a run directory stands once."""

    failed: list[CellRow]
    others: list[CellRow]
    seconds: float
    """Duration of the training steps of all cells."""
    commit: str
    """Commit of all cells; empty where they differ."""
    versions: str
    """Versions that all cells share."""


def cell_rows(cells: Sequence[CellRecord]) -> CellRows:
    """Return the rows of the table of cells, the failed ones apart from the others."""
    begun = [cell for cell in cells if cell.started is not None]
    shared = set.intersection(*(set(cell.versions.items()) for cell in begun)) if begun else set()
    rows = [
        CellRow(
            cell, _time(cell.started), short_commit(cell.commit), _versions(cell.versions, shared, other=True)
        )
        for cell in cells
    ]
    commits = {short_commit(cell.commit) for cell in begun}
    return CellRows(
        failed=[row for row in rows if row.cell.state == "failed"],
        others=[row for row in rows if row.cell.state != "failed"],
        seconds=sum(cell.seconds or 0.0 for cell in cells),
        commit=commits.pop() if len(commits) == 1 else "",
        versions=_versions(begun[0].versions, shared, other=False) if begun else "",
    )


def _time(started: str | None) -> str:
    """Format a time in UTC to the minute."""
    if started is None:
        return _DASH
    return datetime.fromisoformat(started).astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def short_commit(commit: str | None) -> str:
    """Shorten a commit, and keep the sign of changed files."""
    if commit is None:
        return _DASH
    return commit[:_COMMIT_LETTERS] + ("+" if commit.endswith("+") else "")


def _versions(versions: Mapping[str, str], shared: set[tuple[str, str]], *, other: bool) -> str:
    """Return the versions that are shared, or the other ones, as text."""
    return ", ".join(
        f"{name} {version}" for name, version in versions.items() if ((name, version) in shared) != other
    )
