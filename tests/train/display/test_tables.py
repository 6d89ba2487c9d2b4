"""Tables for the screen."""

import dataclasses

from tests.train.records import CLASSES, calibration, decision_figures, decision_rule, evaluation, muting
from train.display.tables import decision_table, evaluation_tables, members_table, muting_table
from train.measures.records import Calibration, Costs, IoUIntervals
from train.run.decision import Decision
from train.run.log import plain_console

NOW = "2026-01-31T12:00:00+00:00"


def printed(*tables) -> list[str]:
    """The lines of tables on a screen of eighty columns, with single spaces and plain dashes."""
    console = plain_console(width=80, record=True)
    for table in tables:
        assert console.measure(table).minimum <= 80
        console.print(table)
    lines = console.export_text().replace("\N{EN DASH}", "-").splitlines()
    return [" ".join(line.split()) for line in lines]


def test_every_number_of_an_evaluation_is_printed():
    known = {"scratch": calibration(), "pit": Calibration([0] * 20, [None] * 20, [None] * 20, None, None)}
    lines = printed(*evaluation_tables(evaluation(calibration=known)))
    for line in (
        "test part, 9 images",
        "mean data-set IoU of the defect classes 0.500 (95 % 0.41-0.59, 7 groups)",
        "with background 0.633",
        "scratch 0.600 0.550 0.500 0.700 0.620 0.630 0.640",
        "scratch 0.731 32 0.600 0.51-0.69 0.620 0.630 0.640",
        "pit 0.269 1 0.400 - 0.420 0.430 0.440",
        "scratch 0.016 0.018",
        "pit - -",
        "any defect 9 5 0.810 0.62-0.97",
        "pit 9 2 0.430 0.21-0.66",
        "scratch 0.51-0.69 12.5 0.250 0.750 -",
        "scratch 16-63 17 13 11 5",
        "scratch 1024+ 3 0 0 0",
        "background 90.0 10.0 0.0",
        "scratch <0.1 100.0 0.0",
        "pit - - -",
    ):
        assert line in lines


def test_a_decision_is_printed_with_its_figures_and_costs():
    decision = Decision(decision_rule(), Costs(10, 1), NOW, 60, "abc", decision_figures())
    lines = printed(decision_table(decision))
    for line in (
        "scratch 0.321 64 0.610 0.720 0.830 17 of 21 6",
        "pit 0.456 2 0.610 0.720 0.830 17 of 21 6",
        "mean data-set IoU of the defect classes 0.610",
        "2 of 11 images with a defect wrongly passed",
        "3 of 13 images without a defect wrongly scrapped",
        "cost 23: 10 an image wrongly passed, 1 one wrongly scrapped",
    ):
        assert line in lines
    assert not any(
        "cost" in line for line in printed(decision_table(dataclasses.replace(decision, costs=None)))
    )


def test_an_evaluation_under_a_decision_of_a_person_says_so():
    automatic = evaluation()
    chosen = dataclasses.replace(automatic.decided, thresholds={"scratch": 0.321, "pit": 0.456})
    lines = printed(*evaluation_tables(dataclasses.replace(automatic, chosen=chosen)))
    first, second = (
        lines.index(f"with thresholds and minimum areas chosen {end}")
        for end in ("on the validation part", "by a person")
    )
    assert first < lines.index("scratch 0.731 32 0.600 0.51-0.69 0.620 0.630 0.640") < second
    assert second < lines.index("scratch 0.321 32 0.600 0.51-0.69 0.620 0.630 0.640")


def test_without_intervals_the_headline_stands_alone():
    one_group = evaluation(intervals=IoUIntervals(1, None, dict.fromkeys(CLASSES)))
    assert "mean data-set IoU of the defect classes 0.500" in printed(*evaluation_tables(one_group))


def test_the_runs_of_a_mean_stand_beside_it_and_long_names_are_folded():
    better = evaluation(headline=0.7)
    name = f"../{'very_' * 20}long"
    lines = printed(members_table({"../a": evaluation(), name: None}, better))
    for line in ("../a 0.500 0.500", "mean of the runs 0.700 0.700"):
        assert line in lines
    assert any(line.endswith(" - -") for line in lines)
    assert any("a dash: evaluate the run on this part" in line for line in lines)
    assert not any("a dash" in line for line in printed(members_table({"../a": better}, better)))


def test_ranges_without_components_are_left_out():
    lines = printed(*evaluation_tables(evaluation()))
    assert not any(line.startswith("scratch 64-255") for line in lines)


def test_muting_is_printed_with_and_without_a_mask():
    lines = printed(muting_table(muting()))
    assert "training labels, 16 images, confusion mask of window 3" in lines
    assert "scratch 11 0.0123 0.88 0.72" in lines
    assert any(line.startswith("rescaled: 1 far") for line in lines)
    unmasked = printed(muting_table(muting(window=None)))
    assert "scratch 11 0.0123" in unmasked
    assert not any("rescaled" in line for line in unmasked)
    absent = dataclasses.replace(muting().classes["pit"], images=0, mask=None, rescaled_mask=None)
    table = muting_table(dataclasses.replace(muting(), classes={"pit": absent}))
    assert "pit 0 0.0123 - -" in printed(table)
