"""The same images under two objectives: those whose label maps the cells keep."""

from collections.abc import Mapping, Sequence

import jax

from train.comparison.collect import Collected
from train.comparison.definition import row_levels
from train.comparison.records import ComparisonRecord, Row
from train.data.prepare import Part
from train.display.comparison.page import ComparedPicture
from train.measures.figures import image_iou
from train.run.files import damaged
from train.run.results import read_image_counts, read_label_maps


def compared_cells(record: ComparisonRecord, cells: Sequence[Collected]) -> dict[str, Collected]:
    """Return the cells to show side by side, by the name of their row.

    They are the first finished cells of the reference and of the best other row; that of the best row alone
    where there is no reference; none before a row is finished.
    """
    rows = sorted(record.rows, key=lambda row: row.most_probable.iou.mean or 0, reverse=True)
    compared = [row for row in rows if row.most_probable.difference is not None]
    best = compared[:1] or rows[:1]
    reference = [row for row in rows if compared and row.levels == best[0].levels | record.reference]
    return {row.name: _first(row, cells) for row in [*reference, *best]}


def compared_pictures(shown: Mapping[str, Collected], part: Part) -> list[ComparedPicture]:
    """Return the images that all cells keep a label map of.

    Args:
        shown: of `compared_cells`; all of one data set.
        part: that they were evaluated on.

    Raises:
        UserError: a label map is damaged, or of no image of the part.
    """
    maps = {name: read_label_maps(cell.run_dir) for name, cell in shown.items()}
    counts = {name: read_image_counts(cell.run_dir).most_probable for name, cell in shown.items()}
    for name, cell in shown.items():
        for position, classes in maps[name].items():
            if position >= len(part) or classes.shape != part.sizes[position]:
                file = cell.run_dir / "label_maps" / f"{position:05}.png"
                raise damaged(file, f"is no label map of an image of the {part.part} part")
    positions = sorted(set.intersection(*(set(kept) for kept in maps.values())))

    def ious(position: int) -> Mapping[str, float]:
        return {name: image_iou(jax.tree.map(lambda x: x[position], each)) for name, each in counts.items()}

    return [
        ComparedPicture(
            **part[position],
            predictions={name: kept[position] for name, kept in maps.items()},
            ious=ious(position),
        )
        for position in positions
    ]


def _first(row: Row, cells: Sequence[Collected]) -> Collected:
    return next(c for c in cells if c.record.state == "done" and row_levels(c.cell.levels) == row.levels)
