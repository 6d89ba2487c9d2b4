"""The flags by which a person chooses decision thresholds and minimum areas."""

from collections.abc import Callable, Sequence
from typing import Any

from train.errors import UserError
from train.measures.records import Costs, DecisionRule


class RuleChoice:
    """What the flags --thresholds, --minimum-areas, --costs and --automatic say."""

    def __init__(
        self,
        thresholds: Sequence[str] | None,
        minimum_areas: Sequence[str] | None,
        costs: tuple[float, float] | None,
        automatic: bool,
    ):
        """Take the values of the flags.

        Raises:
            UserError: a flag has no value, flags exclude each other, or costs are not above 0.
        """
        for flag, values in (("--thresholds", thresholds), ("--minimum-areas", minimum_areas)):
            if values is not None and not values:
                raise UserError(f"{flag}: has no value; write NAME=VALUE, with NAME a defect class")
        given = {
            "--thresholds or --minimum-areas": bool(thresholds or minimum_areas),
            "--costs": costs is not None,
            "--automatic": automatic,
        }
        if sum(given.values()) > 1:
            names = " and ".join(name for name, each in given.items() if each)
            raise UserError(f"{names}: exclude each other; give one of them")
        try:
            self.costs = Costs(*costs) if costs else None
        except ValueError as error:
            raise UserError(_of_flag(error)) from error
        self.by_person = bool(thresholds or minimum_areas or costs)
        self._thresholds, self._minimum_areas = thresholds or (), minimum_areas or ()

    def rule(self, defects: Sequence[str], current: Callable[[], DecisionRule | None]) -> DecisionRule:
        """Return the rule that --thresholds and --minimum-areas give.

        Args:
            defects: names of the defect classes.
            current: returns the rule that classes which are left out keep, None if there is none.

        Raises:
            UserError: a class or number is none, or a class is left out and there is no current rule.
        """
        thresholds = _by_class("--thresholds", self._thresholds, defects, float, "a number")
        minimum_areas = _by_class("--minimum-areas", self._minimum_areas, defects, int, "a whole number")
        missing = [name for name in defects if name not in thresholds or name not in minimum_areas]
        kept = current() if missing else None
        if missing and kept is None:
            raise UserError(
                f"--thresholds, --minimum-areas: lack {missing[0]}, and no evaluation has chosen its numbers "
                "for this checkpoint; give both for every class, or run evaluate without these flags first"
            )
        thresholds, minimum_areas = (
            {name: given[name] if name in given else getattr(kept, field)[name] for name in defects}
            for field, given in (("thresholds", thresholds), ("minimum_areas", minimum_areas))
        )
        try:
            return DecisionRule(thresholds, minimum_areas)
        except ValueError as error:
            raise UserError(_of_flag(error)) from error


def _of_flag(error: ValueError) -> str:
    """Return the message of a record, `field.name: what`, as one on the flag of the field."""
    field, _, rest = str(error).partition(".")
    return f"--{field.replace('_', '-')}: {rest.replace(': is ', ' is ', 1)}"


def _by_class(
    flag: str, values: Sequence[str], defects: Sequence[str], kind: Callable[[str], Any], takes: str
) -> dict[str, Any]:
    """Return the numbers of a flag by defect class.

    Raises:
        UserError: names the flag and the value.
    """
    numbers = {}
    for value in values:
        name, equals, number = value.rpartition("=")
        if not equals and len(defects) > 1:
            raise UserError(
                f"{flag}: {value} is of no class, and there are several; write NAME=VALUE, with NAME one of "
                f"{', '.join(defects)}"
            )
        name = name if equals else defects[0]
        if name not in defects:
            raise UserError(f"{flag}: {name} is no defect class; take {', '.join(defects)}")
        if name in numbers:
            raise UserError(f"{flag}: {name} is given twice; give it once")
        try:
            numbers[name] = kind(number)
        except ValueError as error:
            raise UserError(f"{flag}: {value} has no number after the class, takes {takes}") from error
    return numbers
