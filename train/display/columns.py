"""Columns of tables that are named after classes."""

from collections.abc import Collection, Sequence


def class_columns(names: Sequence[str], taken: Collection[str], suffixes: Sequence[str] = ("",)) -> list[str]:
    """Return a column for each class: its name, behind "class " where another column has that name.

    Args:
        names: of the classes, all different.
        taken: the other columns of the table.
        suffixes: of the columns of each class; none of them is a column that is taken.
    """
    used, columns = set(taken), []
    for name in names:
        column = name
        while any(f"{column}{suffix}" in used for suffix in suffixes):
            column = f"class {column}"
        used |= {f"{column}{suffix}" for suffix in suffixes}
        columns.append(column)
    return columns
