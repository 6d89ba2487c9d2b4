"""Tables of a comparison: on the screen, as Markdown and as comma-separated values."""

import csv
import dataclasses
import io

import pytest

from tests.train.comparison_records import comparison, row, row_figures
from train.comparison.records import Difference, Spread
from train.display.comparison.tables import comparison_table, csv_table, markdown_table
from train.run.log import plain_console

TWO = {"cross-entropy": 0.6, "paper": 0.7}
RECORD = comparison(iou=lambda levels: TWO[levels["objective"]])
ONE_SEED = row_figures(0.7, iou=Spread(0.7, None), difference=Difference(1, 0.1, None))


def printed(record) -> list[str]:
    console = plain_console(width=80, record=True)
    table = comparison_table(record)
    assert console.measure(table).minimum <= 80
    console.print(table)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    return [" ".join(line.split()) for line in lines]


def markdown_rows(record) -> list[list[str]]:
    """The cells of a Markdown table, without the line below the header."""
    lines = [line.strip("| ").split(" | ") for line in markdown_table(record).splitlines()]
    assert len({len(line) for line in lines}) == 1
    assert set(lines.pop(1)) == {"---"}
    return lines


def test_the_screen_shows_figures_and_differences():
    lines = printed(RECORD)
    assert "paper .700 +.100 .710 +.100" in lines
    assert "± .012 [.080, .130] ± .012 [.080, .130]" in lines
    assert "cross-entropy .600 .610" in lines
    assert "difference: from cross-entropy, with its 95 % interval" in lines
    assert "4 of 4 cells done; seeds: 2" in lines


def test_the_screen_has_only_columns_that_say_something():
    one = row("paper", {"objective": "paper"}, 0.7, most_probable=ONE_SEED, seeds=["0"], published=0.65)
    lines = printed(dataclasses.replace(RECORD, rows=[RECORD.rows[0], one]))
    assert any(line.startswith("row seeds probable difference") for line in lines)
    assert "paper 1 .700 +.100 .710 .650" in lines
    plain = printed(comparison({"beta": ["0.5"]}))
    assert "row probable thresholds" in plain
    assert not any("difference" in line for line in plain)


def test_long_names_do_not_widen_the_screen():
    axes = {
        "objective": ["weighted cross-entropy", "a_name_without_any_space_" * 4],
        "model": ["A" * 12, "B" * 12],
    }
    record = comparison(axes, lambda levels: 0.6 if levels["objective"][0] == "w" else 0.5)
    rows = [dataclasses.replace(row, published=0.5) for row in record.rows]
    rows[0] = dataclasses.replace(rows[0], seeds=["0"])
    printed(dataclasses.replace(record, rows=rows))


def test_brackets_in_names_are_no_markup():
    record = comparison({"objective": ["[red]one", "two[/]"]}, title="[bold]title")
    text = " ".join(printed(record))
    assert "[red]one" in text
    assert "two[/]" in text
    assert "[bold]title" in text


def test_markdown_holds_the_figures_of_each_row():
    header, reference, paper = markdown_rows(RECORD)
    assert header[:4] == ["row", "seeds", "IoU, most probable classes", "difference [95 %]"]
    assert reference[:4] == ["cross-entropy", "2", ".600 ± .012", ""]
    assert paper == [
        *("paper", "2", ".700 ± .012", "+.100 [.080, .130]", ".720 ± .012", ".730 ± .012"),
        *(".710 ± .012", "+.100 [.080, .130]", ".730 ± .012", ".740 ± .012"),
    ]


def test_markdown_shows_no_deviation_of_one_seed():
    one = row("paper", {"objective": "paper"}, 0.7, most_probable=ONE_SEED, seeds=["0"], published=0.65)
    paper = markdown_rows(dataclasses.replace(RECORD, rows=[one]))[1]
    assert paper[:4] == ["paper", "1", ".700", "+.100"]
    assert paper[-1] == ".650"


def test_markdown_escapes_column_separators():
    record = comparison({"objective": ["a|b", "c\nd"]})
    assert "| a\\|b | 2 |" in markdown_table(record)
    assert "| c d | 2 |" in markdown_table(record)


def csv_rows(record) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_table(record))))


def test_csv_gives_every_number_back():
    axes = {"objective": ["cross-entropy", "paper"], "model": ["UNet"], "beta": ["0.9"]}
    record = comparison(axes, lambda levels: TWO[levels["objective"]])
    lines = csv_rows(record)
    assert [(line["row"], line["decision"]) for line in lines] == [
        (name, decision)
        for name in ("cross-entropy", "paper")
        for decision in ("most probable classes", "thresholds and minimum areas")
    ]
    for line, figures in zip(lines[2:], (record.rows[1].most_probable, record.rows[1].decided), strict=True):
        assert (line["objective"], line["model"], line["beta"], line["seeds"]) == (
            "paper",
            "UNet",
            "0.9",
            "0 1",
        )
        for name in ("iou", "present", "union", "all", "precision", "recall"):
            assert float(line[name]) == getattr(figures, name).mean
            assert float(line[f"{name}_deviation"]) == getattr(figures, name).deviation
        assert float(line["iou_pit"]) == figures.classes["pit"].mean
        assert figures.difference is not None
        assert float(line["difference"]) == figures.difference.mean
        assert (float(line["difference_low"]), float(line["difference_high"])) == figures.difference.interval
        assert line["difference_seeds"] == "2"


def test_csv_of_an_axis_with_the_name_of_a_figure_has_both():
    record = comparison({"objective": ["paper"], "precision": ["half", "full"]})
    half, *_ = csv_rows(record)
    assert half["axis precision"] == "half"
    assert float(half["precision"]) == record.rows[0].most_probable.precision.mean


def test_csv_leaves_missing_numbers_empty():
    one = row("paper", {"objective": "paper"}, None, most_probable=ONE_SEED, seeds=[])
    line, nothing = csv_rows(dataclasses.replace(RECORD, rows=[one]))
    assert (line["iou"], line["iou_deviation"], line["published"], line["seeds"]) == ("0.7", "", "", "")
    assert (line["difference"], line["difference_low"]) == ("0.1", "")
    assert (nothing["iou"], nothing["difference"], nothing["difference_seeds"]) == ("", "", "")


def test_csv_quotes_names():
    record = comparison({"objective": ['a, "b"', "c"], "model": ["U,Net"]})
    assert csv_rows(record)[0]["objective"] == 'a, "b"'


@pytest.mark.parametrize("table", [csv_table, markdown_table])
def test_a_comparison_without_rows_has_a_header(table):
    empty = dataclasses.replace(RECORD, rows=[])
    assert table(empty).startswith(("row", "| row |"))
    assert "4 of 4 cells done; seeds: none" in " ".join(printed(empty))
