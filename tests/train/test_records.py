"""Every record survives the way to JSON text and back."""

import json

import pytest

from tests.train import records
from train.records import from_json, to_json


@pytest.mark.parametrize(
    "record",
    [
        records.evaluation(),
        records.evaluation(headline=None, classes=dict.fromkeys(records.CLASSES, records.NO_FIGURES)),
        records.epoch_record(1),
        records.muting(),
        records.muting(window=None),
        records.label_statistics(),
    ],
    ids=["evaluation", "no figures", "epoch", "muting", "no mask", "label statistics"],
)
def test_a_record_is_equal_after_json(record):
    text = json.dumps(to_json(record), allow_nan=False)
    assert from_json(json.loads(text), type(record)) == record


def test_an_unknown_field_is_refused():
    value = to_json(records.muting()) | {"survey": 1}
    with pytest.raises(ValueError, match=r"extra fields found \(survey\)"):
        from_json(value, type(records.muting()))
