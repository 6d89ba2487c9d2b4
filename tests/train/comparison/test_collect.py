"""From finished cells to rows; that `compare` reads the cells is tested with it."""

from configs.kolektor_sdd import config
from tests.train.comparison.test_figures import image_counts
from train.comparison.collect import Collected, collect
from train.comparison.definition import Comparison, cells
from train.comparison.records import CellRecord
from train.run.results import write_image_counts


def test_a_fold_that_is_given_twice_counts_once(tmp_path):
    comparison = Comparison(config, folds=(0, 0, 1))
    write_image_counts(tmp_path, image_counts(0))
    done = [
        Collected(c, tmp_path, CellRecord(c.name, c.levels, "done", None, None, None, {}, 1.0, 0.5, {}))
        for c in cells(comparison)
    ]
    [row] = collect(comparison, "folds", done).rows
    assert row.seeds == ["0"]
    assert collect(comparison, "folds", done[:1]).rows == []  # one fold of two
