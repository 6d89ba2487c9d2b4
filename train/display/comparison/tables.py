"""The rows of a comparison as tables: for the screen, as Markdown and as comma-separated values."""

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from train.comparison.records import ComparisonRecord, RowFigures, Spread
from train.csv_files import csv_writer
from train.display.columns import distinct_columns
from train.display.comparison.axes import DECIDED, MOST_PROBABLE, figures, reference_text, row_axes
from train.display.comparison.summary import progress, remarks, spread
from train.display.formatting import drop_zeros, figure, signed

_SPREADS = ("iou", "present", "union", "all", "precision", "recall")
"""Fields of `RowFigures` that are a mean and a deviation."""
_SUFFIXES = ("", "_deviation")
"""Of the columns of a mean and a deviation."""


def comparison_table(record: ComparisonRecord) -> Table:
    """Return the table for the screen, at most eighty columns wide: data-set IoUs and differences."""
    differs = _has_differences(record)
    seeds = sorted({len(row.seeds) for row in record.rows})
    caption = f"{progress(record)}; seeds: {' or '.join(map(str, seeds)) or 'none'}"
    if differs:
        caption = f"difference: from {reference_text(record)}, with its 95 % interval\n{caption}"
    table = Table(
        box=box.SIMPLE,
        title=f"{record.title}\n{_metric(record)}, {record.part} part",
        caption=caption,
        padding=(0, 1, 0, 0),
    )
    table.add_column("row", overflow="fold")
    columns = ["seeds", "most\nprobable", "difference", "thresholds", "difference", "pub-\nlished"]
    shown = [len(seeds) > 1, True, differs, True, differs, _has_published(record)]
    for column in itertools.compress(columns, shown):
        table.add_column(column, justify="right", no_wrap=True)
    for row in record.rows:
        cells = [str(len(row.seeds))]
        for rule in figures(row).values():
            mean, *deviation = _spread(rule.iou).split(" ", 1)
            cells += ["\n".join([mean, *deviation]), difference_text(rule, "\n")]
        cells.append(drop_zeros(figure(row.published)))
        table.add_row(row.name, *itertools.compress(cells, shown))
    return table


def markdown_table(record: ComparisonRecord) -> str:
    """Return a Markdown table of the rows with their most important figures, and remarks below it."""
    with_differences, with_published = _has_differences(record), _has_published(record)
    columns, shown = ["row", "seeds"], [True, True]
    for rule in (MOST_PROBABLE, DECIDED):
        columns += [f"IoU, {rule}", "difference [95 %]", "precision", "recall"]
        shown += [True, with_differences, True, True]
    lines = [[*columns, "published"]]
    for row in record.rows:
        cells = [row.name, str(len(row.seeds))]
        for rule in figures(row).values():
            cells += [
                _spread(rule.iou),
                difference_text(rule, " "),
                _spread(rule.precision),
                _spread(rule.recall),
            ]
        lines.append([*cells, drop_zeros(figure(row.published))])
    lines.insert(1, ["---"] * len(lines[0]))
    table = "".join(_markdown_line(itertools.compress(line, [*shown, with_published])) for line in lines)
    return "\n".join([table, *(f"{remark}\n" for remark in remarks(record))])


def csv_table(record: ComparisonRecord) -> str:
    """Return comma-separated values with a line for each row and decision rule; a missing number is empty.

    The columns are the levels of the row by axis, the decision rule, the seeds, and each figure with its
    deviation over the seeds.
    """
    lines = [
        _named_by_axes(
            {
                "row": row.name,
                "decision": rule,
                "seeds": " ".join(row.seeds),
                **_numbers(rule_figures, record.classes[1:]),
                "published": row.published,
            },
            {axis: row.levels[axis] for axis in row_axes(record)},
        )
        for row in record.rows
        for rule, rule_figures in figures(row).items()
    ]
    file = io.StringIO()
    write = csv_writer(file)
    write(lines[0] if lines else ["row"])
    for line in lines:
        write(line.values())
    return file.getvalue()


def _named_by_axes(line: dict[str, Any], levels: Mapping[str, str]) -> dict[str, Any]:
    """Return a line with the levels of its row in columns of their own, behind the name of the row."""
    columns = distinct_columns("axis", list(levels), line)
    return {"row": line["row"], **dict(zip(columns, levels.values(), strict=True)), **line}


def _numbers(rule: RowFigures, defects: Sequence[str]) -> dict[str, float | None]:
    spreads: dict[str, Spread] = {name: getattr(rule, name) for name in _SPREADS}
    fixed = [f"{name}{suffix}" for name in spreads for suffix in _SUFFIXES]
    columns = distinct_columns("class", [f"iou_{name}" for name in defects], fixed, _SUFFIXES)
    spreads |= {column: rule.classes[name] for column, name in zip(columns, defects, strict=True)}
    difference = rule.difference
    low, high = (difference and difference.interval) or (None, None)
    numbers = {
        f"{name}{suffix}": number
        for name, value in spreads.items()
        for suffix, number in zip(_SUFFIXES, (value.mean, value.deviation), strict=True)
    }
    return numbers | {
        "difference": difference and difference.mean,
        "difference_low": low,
        "difference_high": high,
        "difference_seeds": difference and difference.seeds,
    }


def _markdown_line(cells: Iterable[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"


def _has_differences(record: ComparisonRecord) -> bool:
    return any(rule.difference is not None for row in record.rows for rule in figures(row).values())


def _has_published(record: ComparisonRecord) -> bool:
    return any(row.published is not None for row in record.rows)


def _metric(record: ComparisonRecord) -> str:
    return "data-set IoU, mean over the defect classes" if len(record.classes) > 2 else "data-set IoU"


def _spread(value: Spread) -> str:
    return drop_zeros(spread(value))


def difference_text(rule: RowFigures, separator: str) -> str:
    """Format the difference of a row, and its interval after a separator; empty for the reference row."""
    difference = rule.difference
    if difference is None:
        return ""
    text = signed(difference.mean)
    if difference.interval is not None:
        text += f"{separator}[{', '.join(map(figure, difference.interval))}]"
    return drop_zeros(text)
