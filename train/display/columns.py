"""Columns of tables that are named after classes and the like."""

from collections.abc import Collection, Sequence


def distinct_columns(
    kind: str, names: Sequence[str], taken: Collection[str], suffixes: Sequence[str] = ("",)
) -> list[str]:
    """Return a column for each of the things of one kind: its name, behind the kind where that name is taken.

    Args:
        kind: such as "class".
        names: of the things, all different.
        taken: the other columns of the table.
        suffixes: of the columns of each thing; none of them is a column that is taken.
    """
    used, columns = set(taken), []
    for name in names:
        column = name
        while any(f"{column}{suffix}" in used for suffix in suffixes):
            column = f"{kind} {column}"
        used |= {f"{column}{suffix}" for suffix in suffixes}
        columns.append(column)
    return columns
