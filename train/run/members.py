"""The directory of the mean of several runs, and which runs these are.

members.json      format number, and the members
evaluation.json, decision.json, image_counts.csv, label_maps/, report.html
                  as in the directory of a run, of the mean
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from etils import epath

from train import records
from train.errors import ANOTHER_OUT, UserError, writing
from train.paths import AnyPath, check_address
from train.run.decision import remove_decision
from train.run.directory import FORMAT, MEMBERS, check_format, is_mean
from train.run.files import damaged, read_json, reading, write_json
from train.run.results import remove_evaluation


@dataclass(frozen=True)
class Member:
    """A run of a mean."""

    run: str
    """Path of the run directory relative to the directory of the mean, or its address in a bucket."""
    step: int
    """Step of the best checkpoint."""
    digest: str
    """Digest of the state of this checkpoint, as inference takes it."""

    def __post_init__(self):
        if not self.run or "\0" in self.run:
            raise ValueError(f"run: is {self.run!r}, takes a path")

    def run_dir(self, mean_dir: AnyPath) -> AnyPath:
        """Return the run directory.

        Raises:
            UserError: it is in a bucket that cannot be reached.
        """
        check_address(self.run)
        return epath.Path(self.run if "://" in self.run else os.path.realpath(mean_dir / self.run))


def write_members(mean_dir: AnyPath, members: Sequence[Member]) -> None:
    """Begin the directory of a mean; what was found with other members is removed.

    Raises:
        UserError: the directory holds something else than a mean, or cannot be written.
    """
    if mean_dir.exists() and not is_mean(mean_dir) and (not mean_dir.is_dir() or any(mean_dir.iterdir())):
        raise UserError(f"{mean_dir}: is there already, and no mean of runs; give another --out")
    with writing(f"{mean_dir}", ANOTHER_OUT):
        mean_dir.mkdir(parents=True, exist_ok=True)
    if _has_members(mean_dir, members):
        return
    remove_evaluation(mean_dir)
    remove_decision(mean_dir)
    write_json(mean_dir / MEMBERS, {"format": FORMAT, "members": members})


def _has_members(mean_dir: AnyPath, members: Sequence[Member]) -> bool:
    """Return whether a directory is that of the mean of these members."""
    try:
        return read_members(mean_dir) == list(members)
    except UserError:  # it is new, or damaged
        return False


def read_members(mean_dir: AnyPath) -> list[Member]:
    """Return the members of a mean.

    Raises:
        UserError: members.json is damaged, or of another format.
    """
    file = mean_dir / MEMBERS
    content = read_json(file)
    if not isinstance(content, dict):
        raise damaged(file, "is no object")
    check_format(file, content, "make the mean anew")
    with reading(file):
        members = records.from_json(content["members"], list[Member])
    if not members:
        raise damaged(file, "has no members")
    return members
