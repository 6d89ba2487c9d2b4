"""The flags of a person's decision: what they give, and what they refuse."""

import pytest

from train.commands.rule_choice import RuleChoice
from train.errors import UserError
from train.measures.records import LARGEST_MINIMUM_AREA, Costs, DecisionRule

CURRENT = DecisionRule({"scratch": 0.3, "pit": 0.4}, {"scratch": 8, "pit": 16})


def chosen(
    thresholds=(), minimum_areas=(), defects=("scratch", "pit"), current: DecisionRule | None = CURRENT
) -> DecisionRule:
    return RuleChoice(thresholds or None, minimum_areas or None, None, False).rule(defects, lambda: current)


def test_classes_that_are_left_out_keep_theirs():
    assert chosen(["pit=.6"]) == DecisionRule({"scratch": 0.3, "pit": 0.6}, CURRENT.minimum_areas)
    assert chosen([], ["scratch=2"]) == DecisionRule(CURRENT.thresholds, {"scratch": 2, "pit": 16})


def test_the_only_class_needs_no_name_and_all_given_need_no_evaluation():
    assert chosen(["0.2"], ["4"], ("pit",), None) == DecisionRule({"pit": 0.2}, {"pit": 4})
    given = chosen(["pit=.6", "scratch=.2"], ["scratch=1", "pit=2"], current=None)
    assert list(given.thresholds.items()) == [("scratch", 0.2), ("pit", 0.6)]


def test_a_name_may_hold_an_equals_sign():
    assert chosen(["a=b=.5"], ["a=b=3"], ("a=b",), None) == DecisionRule({"a=b": 0.5}, {"a=b": 3})


@pytest.mark.parametrize(
    ("thresholds", "areas", "message"),
    [
        (
            [".5"],
            [],
            "--thresholds: .5 is of no class, and there are several; write NAME=VALUE, with NAME one of",
        ),
        (["crack=.5"], [], "--thresholds: crack is no defect class; take scratch, pit"),
        (["background=.5"], [], "--thresholds: background is no defect class"),
        (["pit=.5", "pit=.6"], [], "--thresholds: pit is given twice"),
        (["pit=x"], [], "--thresholds: pit=x has no number after the class, takes a number"),
        (["pit=1"], [], "--thresholds: pit is 1.0, takes a number between 0 and 1"),
        (["pit=nan"], [], "--thresholds: pit is nan, takes a number between 0 and 1"),
        ([], ["pit=2.5"], "--minimum-areas: pit=2.5 has no number after the class, takes a whole number"),
        ([], ["pit=0"], f"--minimum-areas: pit is 0, takes 1 to {LARGEST_MINIMUM_AREA}"),
    ],
)
def test_what_is_no_number_of_a_class_is_refused(thresholds, areas, message):
    with pytest.raises(UserError, match=message):
        chosen(thresholds, areas)


def test_a_class_without_numbers_is_refused():
    with pytest.raises(
        UserError, match="lack scratch, and no evaluation has chosen its numbers for this check"
    ):
        chosen(["pit=.5"], current=None)


def test_flags_that_exclude_each_other_are_refused():
    for thresholds, costs, automatic in ([["a"], (1, 2), False], [["a"], None, True], [None, (1, 2), True]):
        with pytest.raises(UserError, match=r"^--.* and --.*: exclude each other; give one of them"):
            RuleChoice(thresholds, None, costs, automatic)


def test_a_flag_without_a_value_is_refused():
    with pytest.raises(UserError, match=r"^--thresholds: has no value; write NAME=VALUE"):
        RuleChoice([], None, None, False)
    with pytest.raises(UserError, match=r"^--minimum-areas: has no value; write NAME=VALUE"):
        RuleChoice(["pit=.5"], [], None, False)


def test_costs_are_above_0():
    assert RuleChoice(None, None, (10, 1), False).costs == Costs(10, 1)
    for cost in (0, 2e9):
        with pytest.raises(
            UserError, match=r"^--costs: false_alarm is .*, takes a number above 0 and up to 1e\+09"
        ):
            RuleChoice(None, None, (10, cost), False)
