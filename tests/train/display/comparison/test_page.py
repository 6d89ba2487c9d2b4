"""The page of a comparison: complete, self-contained, and safe against its own input."""

import dataclasses
import html
import re

import pytest

from tests.train.comparison_records import NO_SPREAD, VERSIONS, cell, comparison, open_cell, row, row_figures
from tests.train.display.comparison.pictures import compared_picture
from tests.train.display.pages.reading import assert_explained, links, without_explanations, words

DASH = "\N{EN DASH}"
TWO = {"cross-entropy": 0.6, "paper": 0.7}


def two_objectives(**changes):
    return comparison(iou=lambda levels: TWO[levels["objective"]], **changes)


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_every_figure_of_a_row_is_shown_under_both_decision_rules(write):
    text = words(write(two_objectives()))
    deviation = "± 0.012"
    most_probable = ("0.700", "0.750", "0.650", "0.800", "0.720", "0.730")
    decided = ("0.710", "0.760", "0.660", "0.810", "0.730", "0.740")
    for numbers in (most_probable, decided):
        figures = " ".join(f"{number} {deviation}" for number in numbers)
        assert f"paper 2 {figures} +0.100 +0.080 to +0.130" in text
    assert "cross-entropy 2 0.600" in text
    assert f"paper 0.800 {deviation} 0.600 {deviation}" in text  # by class


def test_the_reference_row_has_no_difference_but_is_named(write):
    text = words(write(two_objectives()))
    assert "0.630 ± 0.012 reference paper" in text
    assert "data-set IoU minus that of cross-entropy" in text
    without = write(comparison({"beta": ["0.5"]}))
    assert "reference" not in words(without)


def test_with_one_objective_differences_refer_to_the_first_value_of_a_field(write):
    text = words(write(comparison({"objective": ["paper"], "beta": ["0.5", "0.9"]})))
    assert "data-set IoU minus that of beta 0.5" in text
    assert "0.012 reference beta 0.9" in text


def test_published_figures_have_a_column_if_there_are_any(write):
    levels = {"objective": "cross-entropy"}
    record = two_objectives()
    page = write(dataclasses.replace(record, rows=[row("cross-entropy", levels, 0.6, published=0.654321)]))
    assert "published" in page
    assert "0.654" in page
    assert "published" not in write(record)


def test_the_row_with_the_highest_figure_is_bold_under_each_rule(write):
    rows = [
        row("early", {"objective": "early"}, 0.7, decided=row_figures(0.71)),
        row("late", {"objective": "late"}, 0.6, decided=row_figures(0.8)),
    ]
    page = write(comparison({"objective": ["early", "late"]}, rows=rows))
    assert re.findall(r'<tr class="mean"><th scope="row">(.*?)</th>', page) == ["early", "late"]


def test_a_missing_figure_is_a_dash(write):
    rows = [row("cross-entropy", {"objective": "cross-entropy"}, None)]
    nothing = row_figures(None, classes={"scratch": NO_SPREAD, "pit": NO_SPREAD})
    rows.append(row("paper", {"objective": "paper"}, None, most_probable=nothing, seeds=["0"]))
    page = write(two_objectives(rows=rows))
    assert f"paper 1 {DASH} {DASH} {DASH} {DASH} {DASH} {DASH}" in words(page)
    assert "different numbers of seeds" in page
    assert "nan" not in words(page).lower().split()


def test_one_defect_class_needs_no_table_by_class(write):
    figures = row_figures(0.6, classes={"crack": NO_SPREAD})
    rows = [row("paper", {"objective": "paper"}, 0.6, most_probable=figures, decided=figures)]
    page = write(two_objectives(classes=["background", "crack"], rows=rows))
    assert "data-set IoU of crack" in words(page)
    assert not any("by class" in heading for heading in headings(page))


def test_only_cells_that_are_done_link_to_their_report(write):
    cells = [
        cell("a b+1", {"seed": "0"}),
        open_cell("later", {"seed": "1"}),
        cell("fails", {"seed": "2"}, state="failed", error="out of memory", iou=None),
        cell("now", {"seed": "3"}, state="running", iou=None, seconds=None),
    ]
    page = write(two_objectives(cells=cells))
    assert [link for link in links(page) if not link.startswith(("#", "data:"))] == ["a%20b%2B1/report.html"]
    assert "1 of 4 cells done, 1 failed, 1 running, 1 open; 3 min 0 s of training" in words(page)


def test_failed_cells_come_first_with_their_error(write):
    cells = [
        cell("good", {}),
        cell("bad", {}, state="failed", error="the loss was not finite", iou=None, seconds=None),
    ]
    text = words(write(two_objectives(cells=cells)))
    assert "bad: the loss was not finite" in text
    assert f"bad failed {DASH} {DASH} 2026-07-01 10:22 good done 0.500 1 min 30 s" in text


def test_commit_and_versions_that_all_cells_share_stand_once(write):
    shared = words(write(two_objectives()))
    assert "Commit of all cells: 0123456789." in shared
    assert "Versions of all cells: Python 3.12.1, jax 0.10.2." in shared
    cells = [
        cell("one", {}),
        cell("two", {}, commit="fedcba9876543210+", versions=VERSIONS | {"jax": "0.10.3"}),
        open_cell("three", {}),
    ]
    mixed = words(write(two_objectives(cells=cells)))
    assert "Versions of all cells: Python 3.12.1." in mixed
    assert "0123456789 jax 0.10.2 two" in mixed
    assert "fedcba9876+ jax 0.10.3 three" in mixed
    assert "+: files differed from the commit" in mixed


def test_without_a_finished_cell_the_page_has_only_cells(write):
    cells = [open_cell("one", {"objective": "paper", "seed": "0"})]
    page = write(two_objectives(rows=[], classes=[], cells=cells))
    assert headings(page) == ["Cells"]
    assert "No row has a figure yet. 0 of 1 cells done, 1 open." in words(page)
    assert "<svg" not in page


def test_one_row_has_no_bars(write):
    page = write(comparison({}))
    assert headings(page) == ["Figures by row", "Data-set IoU by class", "Cells"]
    assert 'class="mean"' not in page


def test_pictures_stand_beside_their_label_and_all_predictions(write):
    page = write(two_objectives(), [compared_picture("part/1"), compared_picture("part/2", (20, 90))])
    assert page.count("<img ") == 6
    text = words(page)
    assert f"part/1 image label cross-entropy · IoU {DASH} paper · IoU 0.730 part/2" in text
    assert "scratch pit void (no label)" in text


def test_the_page_loads_no_external_resource(write):
    page = write(two_objectives(cells=[]), [compared_picture("one")])
    assert len(links(page)) > 3
    assert all(link.startswith(("data:", "#")) for link in links(page))
    assert not re.search(r"https?:|<script|<link|@import", without_explanations(page))


def test_each_section_links_to_its_explanation(write):
    grid = comparison({"delta": ["0.1", "0.2"], "beta": ["0", "0.9"]})
    pages = [write(record, [compared_picture("one")]) for record in (two_objectives(), grid)]
    assert len({*headings(pages[0]), *headings(pages[1])}) == 6
    for page in pages:
        assert_explained(page)


def test_names_are_escaped(write):
    evil = "<img src=x onerror=alert(1)>\"'&"
    axes = {"objective": [evil, "paper"], "model": [evil, "UNet"]}
    bars = comparison(axes, title=evil, part=evil)
    failed = cell(evil, {}, state="failed", error=evil)
    page = write(
        dataclasses.replace(bars, cells=[cell(evil, {}), failed]),
        [compared_picture("one")._replace(name=evil)],
    )
    page += write(comparison({"objective": [evil, "$x_{", "$", "paper"]}))  # as names below bars
    page += write(comparison({evil: ["0.5", "0.9"], "beta": ["1", "2"], "objective": [evil, "paper"]}))
    assert "<img src=x" not in page
    assert "<script" not in page
    assert page.count(html.escape(evil)[:20]) >= 8


def test_equal_arguments_give_an_equal_page(write):
    record, pictures = two_objectives(), [compared_picture("one")]
    assert write(record, pictures) == write(record, pictures)


def test_a_failed_page_leaves_the_old_one(write, tmp_path):
    page = write(two_objectives())
    with pytest.raises(AttributeError):
        write(two_objectives(rows=[None]))
    assert (tmp_path / "comparison.html").read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.html"]
