"""CSV files: what is written is read, and no text is a formula to a spreadsheet."""

import csv
import io

import pytest

from train.csv_files import csv_writer, read_csv

FORMULAS = ("=1+1", "+1+1", "-1+1|cmd", "@SUM(A1)", "\t=1", "\n=1", "=", "-", "-x.png", '=HYPERLINK("x","y")',
            "＝1", "'=1", "''=1")  # fmt: skip  # noqa: RUF001
PLAIN = ("a=1", "a.png", "", "'a'", "-1", "+2.5e-3", "-.5", "ü", "a,b", 'say "=1"', " =1", "1-2")


def written(rows) -> str:
    file = io.StringIO()
    write = csv_writer(file)
    for row in rows:
        write(row)
    return file.getvalue()


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_text_that_would_be_a_formula_has_an_apostrophe_before_it(cell):
    text = written([["image", cell], [cell, -1]])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["image", f"'{cell}"], [f"'{cell}", "-1"]]
    assert read_csv(text) == [["image", cell], [cell, "-1"]]


@pytest.mark.parametrize("cell", PLAIN)
def test_other_texts_and_numbers_are_written_as_they_are(cell):
    text = written([[cell, "x"], [-1, -0.5]])
    assert list(csv.reader(io.StringIO(text, newline=""))) == read_csv(text) == [[cell, "x"], ["-1", "-0.5"]]
