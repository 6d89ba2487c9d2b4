"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a column without any text is left out."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    shown = [k for k in range(len(columns)) if any(row[k] for row in rows)]
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line[k] for k in shown)} |\n" for line in lines)


def code(text: str | None) -> str:
    """Return a text as code; "" for none."""
    return f"`{text}`" if text else ""
