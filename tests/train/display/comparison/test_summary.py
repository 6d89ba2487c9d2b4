"""The result of a comparison in words."""

import dataclasses

from tests.train.comparison_records import CLASSES, cell, comparison, open_cell, row, row_figures
from train.comparison.records import Difference, Spread
from train.display.comparison.summary import progress, remarks, result, spread


def text(record) -> str:
    return " ".join(result(record)).replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def with_paper(most_probable, decided, **changes):
    """A comparison of two objectives with given figures of the second."""
    rows = [
        row("cross-entropy", {"objective": "cross-entropy"}, 0.6),
        row("paper", {"objective": "paper"}, 0, most_probable=most_probable, decided=decided, **changes),
    ]
    return comparison(rows=rows)


def test_the_highest_row_is_named_once_if_it_leads_under_both_rules():
    assert text(with_paper(row_figures(0.7, 0.1), row_figures(0.72, 0.11))) == (
        "“paper” has the highest mean data-set IoU of the 2 defect classes on the test part: "
        "0.700 ± 0.012 under most probable classes (+0.100 against “cross-entropy”, 95 % interval +0.080 to "
        "+0.130) and 0.720 ± 0.012 under thresholds and minimum areas (+0.110 against “cross-entropy”, 95 % "
        "interval +0.090 to +0.140)."
    )


def test_each_rule_names_its_own_highest_row():
    sentence = text(with_paper(row_figures(0.7, 0.1), row_figures(0.5, -0.11)))
    assert "“paper” with 0.700 ± 0.012 under most probable classes (+0.100" in sentence
    assert "“cross-entropy” with 0.610 ± 0.012 under thresholds and minimum areas (the reference" in sentence


def test_an_interval_that_includes_zero_is_said():
    both = text(with_paper(row_figures(0.61, 0.01), row_figures(0.62, 0.01)))
    assert "-0.010 to +0.040" in both
    assert "The interval includes 0: the difference may be chance." in both
    one = text(with_paper(row_figures(0.7, 0.1), row_figures(0.62, 0.01)))
    assert "The interval includes 0 under thresholds and minimum areas: the" in one
    assert "interval 0.000 to" in text(with_paper(row_figures(0.62, 0.0204), row_figures(0.7, 0.1)))
    assert "includes 0 under most" in text(with_paper(row_figures(0.62, 0.0204), row_figures(0.7, 0.1)))
    assert "includes 0" not in text(with_paper(row_figures(0.7, 0.1), row_figures(0.72, 0.1)))


def test_one_seed_is_said():
    figures = row_figures(0.7, difference=Difference(1, 0.1, None), iou=Spread(0.7, None))
    sentences = text(with_paper(figures, figures, seeds=["0"]))
    assert "0.700 under most probable classes (+0.100 against “cross-entropy”) and" in sentences
    assert sentences.endswith("With one seed, how far the figures vary between trainings is not known.")
    shared = row_figures(0.7, difference=Difference(1, 0.1, None))
    assert "With one seed" in text(with_paper(shared, row_figures(0.7, 0.1)))
    assert "one seed" not in text(comparison())


def test_the_reference_is_the_row_of_the_same_network():
    axes = {"objective": ["cross-entropy", "paper"], "model": ["UNet", "FCN"]}
    record = comparison(axes, lambda levels: 0.6 + 0.1 * (levels["objective"] == "paper"))
    leading = [dataclasses.replace(other, most_probable=row_figures(0.1)) for other in record.rows[:3]]
    assert "against “cross-entropy, FCN”" in text(
        dataclasses.replace(record, rows=[*leading, record.rows[3]])
    )


def test_one_row_and_one_class_are_said_plainly():
    record = comparison({}, classes=list(CLASSES[:2]))
    sentence = text(record)
    assert sentence.startswith("“base” has a data-set IoU of scratch on the test part of 0.600 ± 0.012 under")
    assert "highest" not in sentence
    assert "reference" not in sentence


def test_without_figures_there_is_no_result():
    nothing = ["No row has a figure yet."]
    assert result(comparison(rows=[])) == nothing
    assert result(comparison(iou=lambda levels: None)) == nothing


def test_progress_counts_the_states():
    cells = [cell("a", {}), cell("b", {}), cell("c", {}, state="failed", error="x"), open_cell("d", {})]
    assert progress(comparison(cells=cells)) == "2 of 4 cells done, 1 failed, 1 open"
    assert progress(comparison(cells=cells[:2])) == "2 of 2 cells done"


def test_a_deviation_is_shown_if_there_is_one():
    assert spread(Spread(0.65, 0.0123)) == "0.650 ± 0.012"
    assert spread(Spread(0.65, None)) == "0.650"
    assert spread(Spread(None, None)) == "\N{EN DASH}"


def test_class_weights_that_are_all_1_are_remarked_on():
    weighted = comparison({"objective": ["cross-entropy", "weighted"]})
    assert remarks(weighted) == []
    address = "cross_entropy.weights_options.values"
    for numbers, said in (([1.0, 1.0, 1.0], 1), ([1.0, 9.0, 1.0], 0)):
        cells = [
            dataclasses.replace(cell, class_weights={address: numbers})
            if cell.levels["objective"] == "weighted"
            else cell
            for cell in weighted.cells
        ]
        found = remarks(dataclasses.replace(weighted, cells=cells))
        assert len(found) == said
        assert all("weighted" in remark for remark in found)
