"""The report: complete, self-contained, and safe against its own input."""

import html
import math
import re

import numpy as np
import pytest

from tests.train.display.report.inputs import (
    CLASSES,
    class_figures,
    cost_picture,
    evaluation,
    findings,
    picture,
    row,
)
from train.display.report.page import CostPicture, digits, duration, figure, half_of_the_cost, timing, tree
from train.inspection.muting import survey

NOTHING = {
    "iou": dict.fromkeys(("dataset", "present", "union", "all")),
    "dice": None,
    "precision": None,
    "recall": None,
}


def words(page: str) -> str:
    """What is read on the page, its white space closed up."""
    page = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_page_opens_with_the_headline_and_its_meaning(report):
    text = words(report())
    start = "quickstart-1f3a quickstart-1f3a 0.500 Mean data-set IoU (intersection over union) of the 2"
    assert text.startswith(start)
    assert "9 images of the test part" in text
    assert "50 in 100" in text


def test_every_figure_of_every_class_is_there(report):
    text = words(report()).replace("\N{EN DASH}", "-")
    assert "scratch 0.600 0.51-0.69 0.550 0.500 0.700" in text
    assert "pit 0.400 0.350" in text
    assert "pit 0.420 0.430 0.440" in text
    assert "mean of defects 0.500 0.41-0.59 0.450 0.400 0.600" in text
    assert "scratch 0.731 32 0.600 0.51-0.69 0.620" in text
    assert "pit 0.269 1 0.400" in text
    assert "is 0.633. Checkpoint: best, step 60" in text
    assert "95 % interval 0.41-0.59, over 7 groups of images" in text
    assert "123.4 images of the test part predicted a second" in text


def test_the_breakdowns_are_there_with_what_has_no_pixels_as_dashes(report):
    text = words(report()).replace("\N{EN DASH}", "-")
    assert "any 5 of 9 0.810 0.62-0.97 scratch 2 of 9 0.430 0.21-0.66 pit 2 of 9 0.430 0.21-0.66" in text
    assert "background 90.0 10.0 0.0 scratch <0.1 100.0 0.0 pit - - -" in text
    assert "scratch 16-63 17 13 11 5 1024+ 3 0 0 0 pit - -" in text
    assert "scratch 12.5 0.250 0.750 -" in text


def test_one_group_of_images_has_no_interval_and_says_so(report):
    found = evaluation(intervals={"groups": 1, "headline": None, "classes": dict.fromkeys(CLASSES)})
    found["image_level"]["any"] = {"positive": 0, "average_precision": None, "interval": None}
    text = words(report(evaluation=found)).replace("\N{EN DASH}", "-")
    assert "No intervals: all images show the same item" in text
    assert "95 % interval" not in text
    assert "any 0 of 9 - scratch" in text


def test_the_page_asks_the_network_for_nothing(report):
    page = report()
    links = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]*)|url\(["']?([^)"']*)""", page)
    assert len(links) > 5
    assert all("".join(link).startswith(("data:", "#")) for link in links)
    assert not re.search(r"https?:|<script|<link|@import", page)


def test_names_from_outside_are_text(report):
    evil = "<img src=x onerror=alert(1)>\"'&"
    figures = evaluation(classes={name: class_figures(0.5) for name in ("background", evil, "pit")})
    evil_findings = findings(
        thresholds={"term": evil, "eps_inf": 0.3, "eps_sup": 0.7},
        classes={name: {"pixels": 1, "loss": 1, "gradient": 1} for name in figures["classes"]},
        mask={evil: dict.fromkeys(figures["classes"], 1.0)},
    )
    page = report(
        title=evil,
        evaluation=figures,
        rows=[row(1, validation=figures, terms={evil: 1.0}, findings=evil_findings)],
        survey=survey([picture("").label], ("background", evil, "pit"), 3),
        pictures={"Worst": [picture(evil)]},
        costs=[cost_picture(evil)],
    )
    assert "<img src=x" not in page
    assert "<script" not in page
    assert page.count(html.escape(evil)[:20]) >= 8


def test_missing_figures_are_dashes(report):
    nothing = evaluation(
        headline=None,
        mean_with_background=None,
        classes=dict.fromkeys(CLASSES, NOTHING),
        intervals={"groups": 9, "headline": None, "classes": dict.fromkeys(CLASSES)},
    )
    text = words(report(evaluation=nothing, rows=[row(1, validation=nothing), row(2, validation=None)]))
    dash = "\N{EN DASH}"
    assert f"quickstart-1f3a {dash} No figure: the test part (9 images) has no defect" in text
    assert f"scratch {dash} {dash} {dash} {dash} " in text
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1)],
        [row(1, loss=None, terms={"dice": None})],
        [row(1), row(2, loss=math.nan, terms={"balanced": math.inf, "dice": -1.0})],
        [row(1, loss=0.0, terms={"dice": 0.0}, learning_rate=0.0)],
    ],
    ids=["none", "one", "null", "not finite", "zero"],
)
def test_curves_are_drawn_of_any_history(report, rows):
    assert ("<svg" in report(rows=rows)) == bool(rows)


def test_curves_take_the_colour_of_the_text(report):
    page = report()
    assert "currentColor" in page
    assert "#010203" not in page
    assert "#000000" not in page


def test_curves_say_who_holds_the_loss(report):
    text = words(report())
    for title in (
        "Precision on the validation part scratch pit mean",
        "Recall on the validation part scratch pit mean",
        "Share of the pixels, by error easy critical hard",
        "Share of the loss, by error easy critical hard",
        "Share of the loss, by class background scratch pit boundary",
        "Share of the gradient, by class background scratch pit boundary",
        "Mean mask by class (balanced) background scratch pit",
    ):
        assert title in text
    assert "below 0.3, hard ones above 0.7" in text
    assert "the thresholds of balanced at the last epoch" in text


def test_default_thresholds_are_called_so(report):
    default = findings(thresholds={"term": None, "eps_inf": 0.3, "eps_sup": 0.7})
    assert "no term of the objective has thresholds" in words(report(rows=[row(1, findings=default)]))


def test_a_run_without_findings_shows_what_it_has(report):
    text = words(report(rows=[row(1, findings=None)]))
    assert "Which pixels hold it" in text
    assert "by error" not in text
    old = {key: value for key, value in row(1).items() if key != "findings"}
    assert "Who holds the loss" not in words(report(rows=[old], costs=[]))


def test_pictures_show_which_pixels_hold_the_loss_before_and_after(report):
    cost = np.zeros((48, 64))
    cost[20:24, 10:13] = 2.0
    shown = cost_picture("one")._replace(before=cost, after=np.zeros((48, 64)))
    text = words(report(costs=[shown]))
    dash = "\N{EN DASH}"
    assert "one before: loss 0.00781, half of it on 0.2 % of the pixels" in text
    assert f"after: loss 0, half of it on {dash} % of the pixels" in text
    assert "After: the best checkpoint, step 60" in text


def test_small_numbers_keep_their_digits():
    shown = [digits(value, 3) for value in (1.40449, 0.000034567, 0.0, 49.64, 1234567.0, math.nan)]
    assert shown == ["1.4", "0.0000346", "0", "49.6", "1230000", "\N{EN DASH}"]


def test_half_of_the_cost_lies_on_the_dearest_pixels():
    assert half_of_the_cost(np.ones((4, 5))) == 0.5
    assert half_of_the_cost(np.array([[4.0, 3.0, 1.0, np.nan]])) == pytest.approx(1 / 3)
    for nothing in (np.zeros((2, 2)), np.full((2, 2), np.nan), np.full((2, 2), np.inf)):
        assert math.isnan(half_of_the_cost(nothing))


def test_one_defect_class_is_called_by_its_name(report):
    figures = evaluation(classes={name: class_figures(0.5) for name in ("background", "crack")})
    text = words(report(evaluation=figures, rows=[row(1, validation=figures, findings=None)]))
    assert "Data-set IoU (intersection over union) of crack" in text
    assert "mean of defects" not in text


def test_equal_input_gives_an_equal_page(report):
    assert report() == report()


def test_a_page_of_large_noisy_pictures_stays_small(report):
    pictures = [picture(str(i), i / 20, (799, 1021), channels=3) for i in range(20)]
    noise = np.random.default_rng(0).exponential(size=(799, 1021))
    costs = [CostPicture(*picture[:3], noise, noise[::-1]) for picture in pictures[:4]]
    assert len(report(pictures={"Worst": pictures}, costs=costs)) < 2_500_000


def test_a_failed_report_leaves_the_old_one(report, tmp_path):
    page = report()
    with pytest.raises(KeyError):
        report(rows=[{}])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_warnings_of_the_survey_are_on_the_page(report):
    thin = np.zeros((64, 64), np.uint8)
    thin[:, 9:11] = 1
    assert "scratch: a confusion mask of window 7 mutes" in words(report(survey=survey([thin], CLASSES, 7)))
    assert "mutes" not in words(report(survey=survey([thin], CLASSES, None)))


def test_the_config_is_shown_with_what_its_values_are(report):
    text = words(report())
    assert "balanced Term train.config" in text
    assert "loss balanced_loss balanced_jax.losses" in text
    assert "eps_sup Ramp train.config start 1, end 0.7, begin 0, until 0.333333" in text
    assert "crop [64, 64]" in text


def test_a_partial_is_shown_as_its_function_with_what_it_was_given():
    node = tree(
        "loss", {"@partial": {"@function": "a.b:c"}, "args": [1], "keywords": {"k": {"@function": "d:e"}}}
    )
    assert (node.text, node.origin) == ("c", "a.b")
    assert [(inner.name, inner.text) for inner in node.inside] == [("0", "1"), ("k", "e")]


def test_numbers_and_times_are_readable():
    assert figure(None) == figure(math.nan) == "\N{EN DASH}"
    assert figure(-0.25, 2) == "\N{MINUS SIGN}0.25"
    assert [duration(s) for s in (0.04, 59.5, 61, 3725)] == ["0.0 s", "59.5 s", "1 min 1 s", "1 h 2 min"]
    assert timing([]) is None
