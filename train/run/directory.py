"""A run directory: what one experiment leaves on disk, and how it is found again.

    config.py         the config file as it was
    config.json       format number, complete config, class weights counted for it, facts about the data,
                      versions, commit, time
    metrics.jsonl     one line per epoch
    muting.json       how far the confusion mask mutes the classes of the training labels
    initial/          variables before the first step, where they do not follow from the seed
    checkpoints/      the latest and the best state
    evaluation.json   the last evaluation
    decision.json     thresholds and minimum areas that a person has chosen, see `train.run.decision`
    image_counts.csv  its confusion counts of each image
    label_maps/       its predictions on a few images
    report.html       the history and the evaluation as a page
    log.txt           what was printed

Of several hosts the first alone writes, but for checkpoints and initial variables, which orbax writes.
"""

import contextlib
import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from train import configfile, records
from train.config import Config
from train.data.facts import DataFacts
from train.errors import UserError, writing
from train.inspection.muting import Muting
from train.measures.records import EpochRecord, Evaluation
from train.parallel import is_first_host
from train.paths import AnyPath
from train.run.files import damaged, read_json, read_record, read_rows, reading, write_bytes, write_json
from train.run.lock import locked

FORMAT = 2
"""Number of the layout of a run directory. Format 1 had no number, and named objects by the files of that
time."""

MEMBERS = "members.json"
"""The file that makes a directory that of the mean of several runs, see `train.run.members`."""

_PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets")


class InUse(UserError):
    """Another process works in a run directory."""


def default_path(config: Config, title: str) -> epath.Path:
    """Return the default path of a run, `runs/<title>-<digest of the config>`."""
    return epath.Path("runs") / f"{title}-{configfile.digest(config)}"


@contextlib.contextmanager
def claim(run_dir: AnyPath) -> Iterator[None]:
    """Make the directory and keep other runs out of it for the duration of the context.

    Raises:
        InUse: another process works in the directory.
        UserError: the directory cannot be written.
    """
    if not is_first_host():
        yield
        return
    with contextlib.ExitStack() as stack:
        with writing(f"{run_dir}", "give another --run-dir"):
            try:
                stack.enter_context(locked(run_dir, wait=False))
            except BlockingIOError as error:
                raise InUse(
                    f"{run_dir}: another run is at work here; wait for it or give another --run-dir"
                ) from error
        yield


def begin_or_resume(
    run_dir: AnyPath,
    config: Config,
    config_file: AnyPath,
    facts: DataFacts,
    class_weights: Mapping[str, Sequence[float]] | None = None,
) -> list[str]:
    """Write the config of a new run; check that an existing run has the same.

    Args:
        run_dir: the run directory.
        config: with the ratios of the objective as they were written.
        config_file: the file that the config came from.
        facts: about the data.
        class_weights: the numbers in place of the ratios, by address, for those who read config.json.

    Returns:
        Notes on differences that do not prevent resuming: other versions, another text with equal fields.

    Raises:
        UserError: the directory belongs to another config, to data of another fingerprint, has another
            format, or has lost its config.json.
    """
    new = {
        "format": FORMAT,
        "config": configfile.to_json(config),
        **({"class_weights": class_weights} if class_weights else {}),
        "data": facts,
        "versions": _versions(),
    }
    if not is_run(run_dir):
        if _has_checkpoint(run_dir):
            raise damaged(run_dir / "config.json", "is missing, but there are checkpoints")
        if config_file.is_file():  # a run that lost it may begin another
            write_bytes(run_dir / "config.py", config_file.read_bytes())
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(run_dir / "config.json", {**new, "commit": current_commit(), "started": started})
        return []
    old = read_config_json(run_dir)
    if changed := configfile.differences(old["config"], new["config"]):
        raise UserError(
            f"{run_dir}: belongs to another config ({'; '.join(changed)}); give another --run-dir"
        )
    check_data(run_dir, read_facts(run_dir), facts)
    notes = configfile.differences(old["versions"], new["versions"])
    copy = run_dir / "config.py"
    if not (copy.is_file() and config_file.is_file()):
        notes.append(f"{copy}: is missing; its fields are in config.json")
    elif copy.read_bytes() != config_file.read_bytes():
        notes.append(f"{config_file}: its text has changed, its fields have not")
    return notes


def check_data(run_dir: AnyPath, recorded: DataFacts, facts: DataFacts) -> None:
    """Refuse data that differs from the data that a run was made with.

    Args:
        run_dir: the run directory, for the message.
        recorded: facts about the data that the run was made with.
        facts: about the data as it is.

    Raises:
        UserError: names the differences.
    """
    if changed := data_differences(recorded, facts):
        raise UserError(
            f"{run_dir}: its data has changed since ({'; '.join(changed)}); bring the old data back, or "
            "train anew with another --run-dir"
        )


def data_differences(old: DataFacts, new: DataFacts) -> list[str]:
    """Return in what two data sets differ, as `field: old -> new`; fingerprints by twelve hex digits."""
    first, second = ({**vars(facts), "fingerprint": facts.fingerprint[:12]} for facts in (old, new))
    return configfile.differences(first, second)


def is_run(run_dir: AnyPath) -> bool:
    """Return whether a directory is that of a run, or of the mean of several."""
    return (run_dir / "config.json").is_file() or is_mean(run_dir)


def is_mean(run_dir: AnyPath) -> bool:
    """Return whether a directory is that of the mean of several runs."""
    return (run_dir / MEMBERS).is_file()


def read_run(run_dir: AnyPath) -> tuple[Config, DataFacts]:
    """Return the config of a run and the facts about its data.

    The config.py of the run is code. It is executed where the config names an object that is not of this
    project.

    Raises:
        UserError: this is no run directory, one of another format, or its config.json is damaged or names
            what may not be named.
    """
    content = read_config_json(run_dir)
    try:
        config = configfile.from_json(content["config"], run_dir / "config.py")
    except UserError as error:
        raise UserError(f"{run_dir / 'config.json'}: {error}") from error
    if not isinstance(config, Config):
        raise damaged(run_dir / "config.json", f"has a {type(config).__name__} in place of its config")
    return config, read_facts(run_dir)


def read_epochs(run_dir: AnyPath, classes: Sequence[str]) -> list[EpochRecord]:
    """Return the records of the finished epochs; none where there is no metrics.jsonl.

    Raises:
        UserError: metrics.jsonl is damaged, lacks an epoch before the last, or is of another run.
    """
    file = run_dir / "metrics.jsonl"
    epochs = read_rows(file, EpochRecord)
    for number, row in enumerate(epochs, 1):
        if row.epoch != number:
            raise damaged(file, f"has epoch {row.epoch} in place of epoch {number}")
        if row.terms.keys() != epochs[0].terms.keys():
            raise damaged(file, f"has other terms in epoch {number}")
        check_classes(file, row.validation.classes, classes)
    return epochs


def read_muting(run_dir: AnyPath, classes: Sequence[str]) -> Muting:
    """Return how far the confusion mask mutes each class.

    Raises:
        UserError: muting.json is missing, damaged, or of other classes.
    """
    file = run_dir / "muting.json"
    muting = read_record(file, Muting)
    check_classes(file, muting.classes, classes)
    return muting


def read_evaluation(run_dir: AnyPath, step: int, classes: Sequence[str]) -> Evaluation | None:
    """Return the last evaluation; None unless it was of the checkpoint of this step.

    Raises:
        UserError: evaluation.json is damaged, or not of these classes.
    """
    file = run_dir / "evaluation.json"
    if not file.exists():
        return None
    evaluation = read_record(file, Evaluation)
    if evaluation.step != step:
        return None
    check_classes(file, evaluation.decided.classes, classes)
    return evaluation


def read_config_json(run_dir: AnyPath) -> dict[str, Any]:
    """Return the JSON values of a run's config.json; `config`, `data` and `versions` are objects.

    Raises:
        UserError: this is no run directory, one of another format, or its config.json is damaged.
    """
    if not is_run(run_dir):
        raise UserError(
            f"{run_dir}: not a run directory (no config.json); `fit` makes one and prints its path"
        )
    if is_mean(run_dir):
        raise UserError(f"{run_dir}: is the mean of several runs, not a run; take one of those in {MEMBERS}")
    content = read_json(run_dir / "config.json")
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise damaged(run_dir / "config.json", "has no object `config`")
    check_format(run_dir / "config.json", content, "train anew with another --run-dir")
    for key in ("data", "versions"):
        if not isinstance(content.get(key), dict):
            raise damaged(run_dir / "config.json", f"has no object `{key}`")
    return content


def check_format(file: AnyPath, content: Mapping[str, Any], remedy: str) -> None:
    """Refuse a directory of another format.

    Args:
        file: of the directory.
        content: of the file.
        remedy: besides another version.

    Raises:
        UserError: names both formats, or the file if it has no number.
    """
    number = content.get("format", 1)
    if type(number) is not int or not 1 <= number < 1000:
        raise damaged(file, f"has the format {number!r:.40}, which is no such number")
    if number != FORMAT:
        age = "an earlier" if number < FORMAT else "a later"
        raise UserError(
            f"{file.parent}: was written by {age} version (format {number}, this version reads {FORMAT}); "
            f"use that version, or {remedy}"
        )


def check_classes(file: AnyPath, found: Iterable[str], classes: Sequence[str]) -> None:
    """Refuse a file that is of other classes.

    Raises:
        UserError: names the file and both.
    """
    names, expected = list(found), list(classes)
    if names != expected:
        raise damaged(file, f"is of the classes {', '.join(names)}, the run of {', '.join(expected)}")


def read_facts(run_dir: AnyPath) -> DataFacts:
    """Return the facts about a run's data.

    Raises:
        UserError: as `read_config_json`.
    """
    content = read_config_json(run_dir)
    with reading(run_dir / "config.json", "data: "):
        return records.from_json(content["data"], DataFacts)


def _has_checkpoint(run_dir: AnyPath) -> bool:
    folder = run_dir / "checkpoints"
    return folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir())


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in _PACKAGES
    }


def current_commit() -> str | None:
    """Return the commit of this code, with "+" if files differ from it; None outside a git checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
