"""CSV files as spreadsheets open them: no text of ours is a formula.

A spreadsheet computes a cell that begins with =, +, - or @, and names of files and classes come from others.
Such a text is written with an apostrophe before it, and read without; a number stays a number.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable
from typing import Any, TextIO

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")  # noqa: RUF001 - spreadsheets take the wide characters too
"""Begins a text that is written with an apostrophe before it; one that has some already gets another."""


def csv_writer(file: TextIO) -> Callable[[Iterable[Any]], Any]:
    """Return a function that writes a row to a CSV file; texts that would be formulas are neutralized."""
    write = csv.writer(file, lineterminator="\n").writerow
    return lambda cells: write([_neutralize(cell) for cell in cells])


def read_csv(text: str) -> list[list[str]]:
    """Return the rows of a CSV file that `csv_writer` wrote, as they were before."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [[cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell for cell in row] for row in rows]


def _neutralize(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell) is not None
