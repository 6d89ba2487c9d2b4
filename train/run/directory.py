"""A run directory: what one experiment leaves on disk, and how it is found again.

    config.py         the config file as it was
    config.json       the complete config, versions, classes and fingerprint of the data
    metrics.jsonl     one line an epoch
    survey.json       what the masks make of the training labels
    start/            parameters before the first step, where they do not follow from the seed
    checkpoints/      the latest and the best state
    evaluation.json   figures of the last evaluation
    report.html       all of it to look at
    log.txt           what was printed

Files are replaced whole, so that they may lie in a bucket, where nothing can be appended to. Of several hosts
the first alone writes; what orbax keeps, checkpoints and the start, it writes as it sees fit.
"""

import contextlib
import importlib.metadata
import io
import json
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from train import configfile
from train.config import Config
from train.errors import MAKE_ROOM, UserError, writing
from train.parallel import is_first
from train.paths import Place
from train.run.lock import locked
from train.run.log import timed
from train.training.experiment import Facts

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets")


def default_path(config: Config, name: str) -> epath.Path:
    """Where a run is kept unless told otherwise: `runs/<config's name>-<digest>`."""
    return epath.Path("runs") / f"{name}-{configfile.digest(config)}"


@contextlib.contextmanager
def claimed(path: Place) -> Iterator[None]:
    """Makes the directory and keeps other runs out of it for the time of the context.

    Raises:
        UserError: another process is at work there, or the directory cannot be written.
    """
    if not is_first():
        yield
        return
    with contextlib.ExitStack() as held:
        with writing(f"{path}", "give another --run-dir"):
            try:
                held.enter_context(locked(path, wait=False))
            except BlockingIOError as error:
                raise UserError(
                    f"{path}: another run is at work here; wait for it or give another --run-dir"
                ) from error
        yield


def start_or_join(path: Place, config: Config, config_file: Path, facts: Facts) -> list[str]:
    """Writes down what a new run is; of one that is there already, checks that it is the same.

    Args:
        path: the run directory.
        config: the resolved config.
        config_file: the file it came from.
        facts: what the data says.

    Returns:
        Differences that do not forbid to go on: other versions, another text with equal fields.

    Raises:
        UserError: the directory belongs to another config, or to data of another fingerprint.
    """
    new = {"config": configfile.to_json(config), "data": facts._asdict(), "versions": _versions()}
    if not (path / "config.json").exists():
        write_text(path / "config.py", config_file.read_text(encoding="utf-8"))
        write_json(path / "config.json", new)
        return []
    old = read_json(path / "config.json")
    if changed := configfile.differences(old["config"], new["config"]):
        raise UserError(f"{path}: belongs to another config ({'; '.join(changed)}); give another --run-dir")
    check_data(path, facts)
    notes = configfile.differences(old["versions"], new["versions"])
    if (path / "config.py").read_bytes() != config_file.read_bytes():
        notes.append(f"{config_file}: its text has changed, its fields have not")
    return notes


def check_data(path: Place, facts: Facts) -> None:
    """Refuses data that is not what a run was made with.

    Raises:
        UserError: names what differs.
    """
    if changed := configfile.differences(stored(path)[1]._asdict(), facts._asdict()):
        raise UserError(
            f"{path}: its data has changed since ({'; '.join(changed)}); bring the old data back, or train "
            "anew with another --run-dir"
        )


def stored(path: Place) -> tuple[Config, Facts]:
    """The config of a run directory, and what its data said.

    Raises:
        UserError: this is no run directory.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: not a run directory (no config.json); `fit` makes one and prints its path")
    content = read_json(path / "config.json")
    facts = Facts(**{**content["data"], "classes": tuple(content["data"]["classes"])})
    return configfile.from_json(content["config"], path / "config.py"), facts


def decided(path: Place, step: int) -> dict[str, Any] | None:
    """What the last evaluation decided by; None if it was not of the checkpoint of this step.

    It holds `thresholds` and `minimum_areas` of the defect classes, by their names.
    """
    file = path / "evaluation.json"
    if not file.exists():
        return None
    evaluation = read_json(file)
    return evaluation["decided"] if evaluation["step"] == step else None


def write_json(path: Place, value: Any) -> None:
    """Replaces a file by a value as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1))


def read_json(path: Place) -> Any:
    """The value that a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_text(path: Place, text: str) -> None:
    """Replaces a file by a text, whole or not at all, and sees it to the disk."""
    if not is_first():
        return
    new = path.with_name(f".{path.name}.new")
    with writing(f"{path}", MAKE_ROOM):
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            with contextlib.suppress(io.UnsupportedOperation):  # of what lies in a bucket
                os.fsync(file.fileno())
        new.replace(path)


def write_rows(path: Place, rows: Sequence[dict[str, Any]]) -> None:
    """Replaces a .jsonl file, whole or not at all."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path: Place) -> list[dict[str, Any]]:
    """The lines of a .jsonl file; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class LogFile(logging.Handler):
    """Keeps what is said in a file, with the time, after what is there."""

    def __init__(self, path: Place):
        super().__init__()
        self.setFormatter(timed)
        self._path = path
        self._text = path.read_text(encoding="utf-8") if path.exists() else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes all of it anew."""
        self._text += f"{self.format(record)}\n"
        with contextlib.suppress(UserError):  # a full disk ends the run where it matters, and in one line
            write_text(self._path, self._text)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in PACKAGES
    }
