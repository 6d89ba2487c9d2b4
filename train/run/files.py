"""Files of a run, replaced whole, because nothing can be appended in a bucket; the first host writes.

A file may be missing, cut off or edited by hand. Whatever cannot be read is a UserError that names the file,
what is wrong with it, and the remedy for files of its name.
"""

import contextlib
import io
import json
import logging
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

from train import records
from train.errors import MAKE_ROOM, UserError, writing
from train.parallel import is_first_host
from train.paths import AnyPath
from train.records import Record

_logger = logging.getLogger(__name__)

_COPY_OR_ANEW = "bring it back from a copy, or train anew with another --run-dir"
_EVALUATE = "run `evaluate` on the run, which writes it anew"
_REMEDIES = {
    "config.json": _COPY_OR_ANEW,
    "metrics.jsonl": _COPY_OR_ANEW,
    "muting.json": "run `fit` on the run directory, which writes it anew",
    "evaluation.json": _EVALUATE,
    "decision.json": "choose anew, or remove it by `evaluate --automatic` on the run",
    "image_counts.csv": _EVALUATE,
    "label_maps": _EVALUATE,
    "verdicts.json": "bring it back from a copy, or give another --out",
    "members.json": "make the mean anew: evaluate RUN_DIR RUN_DIR ... --out DIR",
}
"""By the name of the file, or of its folder."""


def write_json(path: AnyPath, value: Any) -> None:
    """Replace a file by JSON values, or by a record as JSON."""
    write_text(path, json.dumps(records.to_json(value), indent=1))


def read_json(path: AnyPath) -> Any:
    """Return the JSON values of a file.

    Raises:
        UserError: the file cannot be read, or is no JSON.
    """
    with reading(path):
        return json.loads(_read_text(path))


def read_record(path: AnyPath, kind: type[Record]) -> Record:
    """Return the record that a JSON file holds.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    value = read_json(path)
    with reading(path):
        return records.from_json(value, kind)


def write_rows(path: AnyPath, rows: Sequence[Any]) -> None:
    """Replace a .jsonl file by records, one a line."""
    write_text(path, "".join(json.dumps(records.to_json(row)) + "\n" for row in rows))


def read_rows(path: AnyPath, kind: type[Record]) -> list[Record]:
    """Return the records that a .jsonl file holds; none where there is no file.

    Blank lines are skipped. A last line that is cut off is left out, and this is said: who needs its record
    must look for it.

    Raises:
        UserError: the file cannot be read, or another line holds something else.
    """
    if not path.exists():
        return []
    with reading(path):
        *lines, last = path.read_bytes().split(b"\n")
    rows = [_read_row(path, number, line, kind) for number, line in enumerate(lines, 1) if line.strip()]
    if last.strip():  # each line is written with its end
        try:
            rows.append(_read_row(path, len(lines) + 1, last, kind))
        except UserError:
            _logger.warning("note: %s: its last line is cut off, and left out", path)
    return rows


def _read_row(path: AnyPath, number: int, line: bytes, kind: type[Record]) -> Record:
    with reading(path, f"line {number} "):
        return records.from_json(json.loads(line), kind)


def read_text(path: AnyPath) -> str:
    """Return the text of a file.

    Raises:
        UserError: the file cannot be read, is empty, or is no UTF-8.
    """
    with reading(path):
        return _read_text(path)


def _read_text(path: AnyPath) -> str:
    text = path.read_bytes().decode("utf-8")
    if not text.strip():
        raise ValueError("is empty")
    return text


@contextlib.contextmanager
def reading(path: AnyPath, where: str = "") -> Iterator[None]:
    """Turn errors over the content of a file of a run into a UserError.

    Args:
        path: of the file, whose name, or that of its folder, decides the remedy.
        where: begins the description, such as "line 3 ".

    Raises:
        UserError: in place of an OSError, or of what parsers and records raise over damaged content.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise damaged(path, "is missing") from error
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise damaged(path, f"{where}is no UTF-8 text") from error
    except json.JSONDecodeError as error:
        place = where or f"line {error.lineno} "
        raise damaged(path, f"{place}is cut off or no JSON") from error
    except RecursionError as error:
        raise damaged(path, f"{where}is nested too deeply") from error
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise damaged(path, f"{where}{' '.join(str(error).split())}") from error


def damaged(path: AnyPath, what: str) -> UserError:
    """Return the error over a file of a run, with the remedy for files of its name."""
    remedy = _REMEDIES.get(path.name) or _REMEDIES.get(path.parent.name) or _COPY_OR_ANEW
    return UserError(f"{path}: {what}; {remedy}")


def write_text(path: AnyPath, text: str) -> None:
    """Replace a file by a text, atomically, and flush it to the disk."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))  # names may hold bytes that are no text


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Replace a file, atomically, and flush it to the disk."""
    if is_first_host():
        with writing(f"{path}", MAKE_ROOM), replacing(path) as file:
            file.write(content)


@contextlib.contextmanager
def replacing(path: AnyPath) -> Iterator[IO[bytes]]:
    """Yield a new file, which is flushed to the disk and takes the place of `path` at the end of the context.

    After an error or a kill, `path` is as before.
    """
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        yield file
        file.flush()
        with contextlib.suppress(io.UnsupportedOperation):  # a file in a bucket has no descriptor
            os.fsync(file.fileno())
    new.replace(path)
