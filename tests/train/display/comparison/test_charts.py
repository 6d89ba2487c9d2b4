"""The bars and the heat maps of a comparison."""

import dataclasses

import pytest

from tests.train.comparison_records import comparison, row_figures
from train.display.comparison.bars import bar_figures
from train.display.comparison.heat_maps import heat_maps
from train.display.pages.colors import NEUTRAL

OBJECTIVES = ["cross-entropy", "focal", "paper"]
NETWORKS = ["UNet", "FCN"]
GRID = {"delta": ["0.1", "0.2", "0.3"], "beta": ["0", ".9"]}


def by_grid(levels) -> float:
    return 0.5 + float(levels["delta"]) + 0.1 * float(levels["beta"])


def headings(groups) -> list[str]:
    return [group.heading for group in groups]


def test_bars_of_objectives_are_grouped_by_network():
    figures = {
        (o, m): 0.1 * (1 + i + 3 * j) for i, o in enumerate(OBJECTIVES) for j, m in enumerate(NETWORKS)
    }
    axes = {"objective": OBJECTIVES, "model": NETWORKS}
    bars = bar_figures(comparison(axes, lambda levels: figures[levels["objective"], levels["model"]]))
    assert bars is not None
    assert headings(bars.groups) == ["Most probable classes", "Thresholds and minimum areas"]
    unet, fcn = bars.groups[0].charts
    assert (unet.title, fcn.title) == ("UNet", "FCN")
    assert [bar.value for bar in unet.bars] == pytest.approx([0.1, 0.2, 0.3])
    assert [bar.value for bar in fcn.bars] == pytest.approx([0.4, 0.5, 0.6])
    assert [bar.value for bar in bars.groups[1].charts[0].bars] == pytest.approx([0.11, 0.21, 0.31])
    assert {bar.deviation for bar in fcn.bars} == {0.012}
    assert not bars.named


def test_the_bar_of_the_reference_is_gray():
    bars = bar_figures(comparison({"objective": OBJECTIVES}, reference={"objective": "focal"}))
    assert bars is not None
    assert list(bars.colors) == OBJECTIVES
    assert bars.colors["focal"] == NEUTRAL
    assert len(set(bars.colors.values())) == 3


def test_bars_of_one_network_have_their_names():
    bars = bar_figures(comparison({"objective": OBJECTIVES, "model": ["UNet"]}))
    assert bars is not None
    assert bars.named
    assert [len(group.charts) for group in bars.groups] == [1, 1]
    assert "paper" in bars.groups[0].charts[0].drawing


def test_bars_stand_for_the_levels_of_the_axis_that_there_is():
    bars = bar_figures(comparison({"model": NETWORKS}))
    assert bars is not None
    assert (bars.axis, list(bars.colors)) == ("model", NETWORKS)


def test_a_third_axis_makes_more_groups_of_bars():
    axes = {"objective": OBJECTIVES, "model": NETWORKS, "crop": ["64", "none"]}
    bars = bar_figures(comparison(axes))
    assert bars is not None
    assert headings(bars.groups)[::2] == [
        "Most probable classes: crop 64",
        "Most probable classes: crop none",
    ]
    drawings = [chart.drawing for group in bars.groups for chart in group.charts]
    assert len(drawings) == 8


def test_a_row_that_is_not_done_leaves_a_gap():
    record = comparison({"objective": OBJECTIVES, "model": NETWORKS})
    bars = bar_figures(dataclasses.replace(record, rows=record.rows[1:]))
    assert bars is not None
    assert [bar.value for bar in bars.groups[0].charts[0].bars] == [None, 0.6, 0.6]


def test_rows_without_a_figure_have_empty_charts():
    bars = bar_figures(comparison(iou=lambda levels: None))
    assert bars is not None
    assert {bar.value for bar in bars.groups[0].charts[0].bars} == {None}


def test_two_axes_of_numbers_make_a_heat_map_for_each_rule():
    record = comparison(GRID, by_grid)
    first, second = heat_maps(record)
    assert (first.heading, second.heading) == ("Most probable classes", "Thresholds and minimum areas")
    assert (first.row_axis, first.column_axis, first.columns) == ("delta", "beta", GRID["beta"])
    means = {level: [cell and cell.iou.mean for cell in cells] for level, cells in first.rows.items()}
    assert means["0.1"] == pytest.approx([0.6, 0.69])
    assert means["0.3"] == pytest.approx([0.8, 0.89])
    assert bar_figures(record) is None


def test_colors_of_heat_maps_share_one_scale():
    first, second = heat_maps(comparison(GRID, by_grid))
    lowest, highest = first.rows["0.1"][0], second.rows["0.3"][1]
    assert lowest is not None
    assert highest is not None
    assert (lowest.fraction, highest.fraction) == (0, 1)
    assert [[cell.best for cell in cells if cell] for cells in first.rows.values()] == [[False] * 2] * 2 + [
        [False, True]
    ]


def test_other_axes_make_further_heat_maps():
    maps = heat_maps(comparison({"objective": OBJECTIVES, **GRID}, by_grid))
    assert [heat_map.heading for heat_map in maps[::2]] == [
        f"Most probable classes: {objective}" for objective in OBJECTIVES
    ]


def test_cells_of_a_heat_map_may_be_missing():
    record = comparison(GRID, by_grid)
    rows = [dataclasses.replace(record.rows[0], most_probable=row_figures(None)), *record.rows[2:]]
    first, second = heat_maps(dataclasses.replace(record, rows=rows))
    assert first.rows["0.1"][0] is None
    assert first.rows["0.2"][0] is None
    assert second.rows["0.1"][0] is not None


@pytest.mark.parametrize("axes", [{"beta": ["0", "0.9"]}, {"beta": ["0", "0.9"], "crop": ["64", "none"]}, {}])
def test_fewer_axes_of_numbers_make_no_heat_map(axes):
    assert heat_maps(comparison(axes)) == []


def test_equal_figures_have_the_lowest_color():
    record = comparison(GRID)
    equal = [dataclasses.replace(row, decided=row.most_probable) for row in record.rows]
    cells = [
        cell for line in heat_maps(dataclasses.replace(record, rows=equal))[0].rows.values() for cell in line
    ]
    assert {cell and cell.fraction for cell in cells} == {0}
