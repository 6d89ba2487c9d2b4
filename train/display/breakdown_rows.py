"""Rows of a breakdown for the screen and the report: the confusion matrix, and components by area."""

from train.measures.records import Breakdown, ComponentCounts


def confusion_rows(breakdown: Breakdown) -> dict[str, list[float | None]]:
    """Return, by labeled class, the fraction of its pixels predicted as each class; None without pixels."""
    rows = zip(breakdown.classes, breakdown.confusion, strict=True)
    return {name: [count / sum(row) if sum(row) else None for count in row] for name, row in rows}


def component_rows(breakdown: Breakdown) -> dict[str, dict[str, ComponentCounts]]:
    """Return, by defect class, the component counts of each range of areas that has any component."""
    return {
        name: {area: counts for area, counts in ranges.items() if any(vars(counts).values())}
        for name, ranges in breakdown.components.items()
    }
