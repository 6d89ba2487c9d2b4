"""The page of a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.comparison.records import ComparisonRecord
from train.data.example import VOID
from train.display.comparison.axes import (
    DECIDED,
    MOST_PROBABLE,
    figures,
    reference_row,
    reference_text,
    row_groups,
)
from train.display.comparison.bars import bar_figures
from train.display.comparison.cells import cell_rows
from train.display.comparison.heat_maps import heat_maps
from train.display.comparison.summary import best_row, progress, remarks, result
from train.display.pages.colors import hex_colors
from train.display.pages.frames import Frame, frame_fields, layer
from train.display.pages.rendering import render_page
from train.display.pictures import class_colors
from train.paths import AnyPath
from train.run.files import write_text

_RULES = (MOST_PROBABLE, DECIDED)


class ComparedPicture(NamedTuple):
    """One image of the evaluated part with the predictions of several rows."""

    name: str
    image: np.ndarray
    """uint8 [h, w, 1 or 3]."""
    label: np.ndarray
    """Class ids, uint8 [h, w]; 255 is void."""
    predictions: Mapping[str, np.ndarray]
    """Most probable class of each pixel, uint8 [h, w], by the name of the row."""
    ious: Mapping[str, float]
    """By the name of the row; mean over the defect classes labeled or predicted in the image, NaN if there
    are none."""


@dataclass(frozen=True)
class _ComparedFrame(Frame):
    """One image on the page with the predictions of several rows."""

    predictions: dict[str, str]
    """Transparent layers over the image, by the name of the row."""
    ious: Mapping[str, float]


def write_comparison(
    path: AnyPath, record: ComparisonRecord, pictures: Sequence[ComparedPicture] = ()
) -> None:
    """Write the page of a comparison, atomically; equal arguments give an equal file.

    Args:
        path: of the HTML file; the run directories of the cells lie beside it.
        record: of the comparison.
        pictures: images of the evaluated part.
    """
    all_figures = [rule for row in record.rows for rule in figures(row).values()]
    page = render_page(
        Path(__file__).with_name("comparison.html.jinja"),
        title=record.title,
        record=record,
        rules=_RULES,
        figures=figures,
        row_groups=row_groups(record),
        reference_row=reference_row,
        reference_text=reference_text,
        best={rule: best_row(record, rule) for rule in _RULES},
        result=result(record),
        progress=progress(record),
        remarks=remarks(record),
        defects=record.classes[1:],
        colors=hex_colors(class_colors(len(record.classes))),
        has_deviations=any(rule.iou.deviation is not None for rule in all_figures),
        has_differences=any(rule.difference is not None for rule in all_figures),
        has_published=any(row.published is not None for row in record.rows),
        unequal_seeds=len({len(row.seeds) for row in record.rows}) > 1,
        bars=bar_figures(record),
        heat_maps=heat_maps(record),
        frames=list(map(_frame, pictures)),
        has_void=any((picture.label == VOID).any() for picture in pictures),
        cell_rows=cell_rows(record.cells),
        has_changes=any((cell.commit or "").endswith("+") for cell in record.cells),
    )
    write_text(path, page)


def _frame(picture: ComparedPicture) -> _ComparedFrame:
    return _ComparedFrame(
        **frame_fields(picture.name, picture.image, picture.label),
        predictions={row: layer(prediction) for row, prediction in picture.predictions.items()},
        ious=picture.ious,
    )
