"""Files of a run: replaced whole, read as they were written."""

from dataclasses import dataclass

from train.run.files import read_rows, write_rows


@dataclass(frozen=True)
class Row:
    step: int
    loss: float | None = None


def test_lines_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_rows(path, Row) == []
    for rows in ([Row(1), Row(2, 0.1)], [Row(1)]):
        write_rows(path, rows)
        assert read_rows(path, Row) == rows
    assert list(tmp_path.iterdir()) == [path]
