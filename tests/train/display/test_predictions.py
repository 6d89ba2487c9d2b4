"""The tables that `predict` and `prepare` write: names of files and classes are no formulas."""

import json

import numpy as np

from train.display.predictions import PredictionFiles, prediction_writer
from train.inspection.leaks import Leak, write_table


def predicted(out, **files):
    """The tables of an image with a defect, with names that spreadsheets compute."""
    probabilities = np.full((4, 4, 2), 0.5, np.float32)
    image = {"image": np.zeros((4, 4, 1), np.uint8), "name": "=1+1"}
    with prediction_writer(out, ("background", "@pit"), PredictionFiles(components=True, **files)) as write:
        write(image, np.ones((4, 4), np.uint8), probabilities)
    return out


def test_names_in_csv_tables_are_no_formulas(tmp_path):
    out = predicted(tmp_path)
    assert (out / "images.csv").read_text() == "image,score,'@pit\n'=1+1,0.5,0.5\n"
    assert (out / "components.csv").read_text().splitlines()[1] == "'=1+1,'@pit,16,0,0,4,4,0.5"
    write_table([Leak("train", "+a", "test", "-b")], tmp_path / "leaks.csv")
    assert (tmp_path / "leaks.csv").read_text().splitlines()[1] == "train,'+a,test,'-b"


def test_names_in_json_tables_are_as_they_are(tmp_path):
    line = (predicted(tmp_path, json=True) / "images.jsonl").read_text()
    assert json.loads(line) == {"image": "=1+1", "score": 0.5, "@pit": 0.5}
