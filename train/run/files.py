"""Files of a run, replaced whole, because nothing can be appended in a bucket; the first host writes."""

import contextlib
import io
import json
import os
from collections.abc import Sequence
from typing import Any

from train import records
from train.errors import MAKE_ROOM, writing
from train.parallel import is_first_host
from train.paths import AnyPath
from train.records import Record


def write_json(path: AnyPath, value: Any) -> None:
    """Replace a file by JSON values, or by a record as JSON."""
    write_text(path, json.dumps(records.to_json(value), indent=1))


def read_json(path: AnyPath) -> Any:
    """Return the JSON values of a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_record(path: AnyPath, kind: type[Record]) -> Record:
    """Return the record that a JSON file holds."""
    return records.from_json(read_json(path), kind)


def write_rows(path: AnyPath, rows: Sequence[Any]) -> None:
    """Replace a .jsonl file by records, one a line."""
    write_text(path, "".join(json.dumps(records.to_json(row)) + "\n" for row in rows))


def read_rows(path: AnyPath, kind: type[Record]) -> list[Record]:
    """Return the records that a .jsonl file holds; none where there is no file."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [records.from_json(json.loads(line), kind) for line in lines]


def write_text(path: AnyPath, text: str) -> None:
    """Replace a file by a text, atomically, and flush it to the disk."""
    if not is_first_host():
        return
    new = path.with_name(f".{path.name}.new")
    with writing(f"{path}", MAKE_ROOM):
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            with contextlib.suppress(io.UnsupportedOperation):  # a file in a bucket has no descriptor
                os.fsync(file.fileno())
        new.replace(path)
