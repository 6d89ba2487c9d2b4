"""decision.json: thresholds and minimum areas that a person has chosen, for one checkpoint and its data.

Without this file the rule is the one that `evaluate` has chosen automatically, in evaluation.json.
"""

import datetime
import hashlib
from dataclasses import dataclass

from train.data.facts import DataFacts
from train.errors import MAKE_ROOM, UserError, writing
from train.measures.records import Costs, DecisionFigures, DecisionRule
from train.parallel import is_first_host
from train.paths import AnyPath
from train.run.directory import check_classes, read_evaluation
from train.run.files import read_record, reading, write_json

_FILE = "decision.json"


@dataclass(frozen=True)
class Decision:
    """A decision rule that a person has chosen."""

    rule: DecisionRule
    """Thresholds and minimum areas."""
    costs: Costs | None
    """Costs whose total on the validation part the rule makes lowest; None for numbers chosen by hand."""
    chosen: str
    """When, in UTC, as ISO 8601 has it."""
    step: int
    """Training steps that led to the checkpoint."""
    data: str
    """Fingerprint of the data whose validation part the rule was chosen on."""
    figures: DecisionFigures
    """Of the validation part under the rule."""

    def __post_init__(self):
        if datetime.datetime.fromisoformat(self.chosen).utcoffset() != datetime.timedelta(0):
            raise ValueError(
                f"chosen: is {self.chosen}, takes a time in UTC such as 2026-01-31T12:00:00+00:00"
            )
        if list(self.figures.classes) != list(self.rule.thresholds):
            names = (", ".join(by_class) for by_class in (self.figures.classes, self.rule.thresholds))
            raise ValueError("figures: are of the classes {}, the rule of {}".format(*names))


def write_decision(
    run_dir: AnyPath,
    rule: DecisionRule,
    figures: DecisionFigures,
    *,
    step: int,
    data: str,
    costs: Costs | None = None,
) -> Decision:
    """Write decision.json, as chosen now, and return what it holds.

    Args:
        run_dir: directory of a run or of a mean.
        rule: thresholds and minimum areas.
        figures: of the validation part under the rule.
        step, data, costs: see `Decision`.

    Raises:
        UserError: the file cannot be written.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    decision = Decision(rule, costs, now, step, data, figures)
    write_json(run_dir / _FILE, decision)
    return decision


def remove_decision(run_dir: AnyPath) -> None:
    """Return to the automatic choice.

    Raises:
        UserError: the file cannot be removed.
    """
    if is_first_host():
        with writing(f"{run_dir / _FILE}", MAKE_ROOM):
            (run_dir / _FILE).unlink(missing_ok=True)


def read_decision(run_dir: AnyPath, facts: DataFacts) -> Decision | None:
    """Return the decision of a person, for whichever checkpoint; None without one.

    Raises:
        UserError: decision.json is damaged, or of other classes than these data.
    """
    file = run_dir / _FILE
    if not file.exists():
        return None
    decision = read_record(file, Decision)
    check_classes(file, decision.rule.thresholds, facts.classes[1:])
    return decision


def decision_digest(run_dir: AnyPath) -> str | None:
    """Return a digest of decision.json, which may be damaged; None without one.

    Raises:
        UserError: it cannot be read.
    """
    file = run_dir / _FILE
    with reading(file):
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


def mismatch(decision: Decision, step: int, facts: DataFacts) -> str | None:
    """Return in words why a decision is not for a checkpoint and its data; None if it is."""
    if decision.step != step:
        return f"was chosen for the checkpoint of step {decision.step}, this one is of step {step}"
    if decision.data != facts.fingerprint:
        return f"was chosen on other data ({decision.data[:12]}, these are {facts.fingerprint[:12]})"
    return None


def current_decision(run_dir: AnyPath, step: int, facts: DataFacts) -> Decision | None:
    """Return the decision of a person for a checkpoint; None without one.

    Raises:
        UserError: as `read_decision`; or the decision is for another checkpoint or other data.
    """
    decision = read_decision(run_dir, facts)
    if decision is not None and (other := mismatch(decision, step, facts)):
        raise UserError(
            f"{run_dir / _FILE}: {other}; run python -m train evaluate {run_dir} --automatic, or choose anew"
        )
    return decision


def current_rule(run_dir: AnyPath, step: int, facts: DataFacts) -> DecisionRule | None:
    """Return the rule for a checkpoint: the decision of a person, else the choice of the last evaluation.

    Returns:
        None without a decision, if another checkpoint was evaluated last, or none.

    Raises:
        UserError: as `current_decision`, or evaluation.json is damaged.
    """
    if decision := current_decision(run_dir, step, facts):
        return decision.rule
    evaluation = read_evaluation(run_dir, step, facts.classes)
    return None if evaluation is None else evaluation.decided.rule
