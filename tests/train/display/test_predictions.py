"""The tables that `predict` and `prepare` write: names are no formulas, and a full disk is one line."""

import json
import resource

import numpy as np
import pytest

from train.display.predictions import PredictionFiles, prediction_writer
from train.errors import UserError
from train.inspection.leaks import Leak, write_table


def predicted(out, images=1, **files):
    """The tables of an image with a defect, or of several, with names that spreadsheets compute."""
    probabilities = np.full((4, 4, 2), 0.5, np.float32)
    image = {"image": np.zeros((4, 4, 1), np.uint8), "name": "=1+1", "path": out / "=1+1.jpg"}
    with prediction_writer(out, ("background", "@pit"), PredictionFiles(**files)) as write:
        for _ in range(images):
            write(image, np.ones((4, 4), np.uint8), probabilities)
    return out


def test_names_in_csv_tables_are_no_formulas(tmp_path):
    out = predicted(tmp_path, components=True)
    assert (out / "images.csv").read_text() == "image,score,'@pit\n'=1+1,0.5,0.5\n"
    assert (out / "components.csv").read_text().splitlines()[1] == "'=1+1,'@pit,16,0,0,4,4,0.5"
    write_table([Leak("train", "+a", "test", "-b")], tmp_path / "leaks.csv")
    assert (tmp_path / "leaks.csv").read_text().splitlines()[1] == "train,'+a,test,'-b"


def test_names_in_json_tables_are_as_they_are(tmp_path):
    line = (predicted(tmp_path, json=True) / "images.jsonl").read_text()
    assert json.loads(line) == {"image": "=1+1", "score": 0.5, "@pit": 0.5}


@pytest.fixture
def small_files():
    """Lets no file grow beyond 1000 bytes, as on a disk that fills up in the middle of a command."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("table", ["images", "json", "components", "coco"])
def test_a_disk_that_fills_up_is_one_line(table, small_files, tmp_path):
    files = {} if table == "images" else {table: True}
    with pytest.raises(UserError, match=r"cannot be written \(File too large\); make room, or give another"):
        predicted(tmp_path, 100, **files)
