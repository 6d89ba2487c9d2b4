"""The report: complete, self-contained, and safe against its own input."""

import dataclasses
import html
import re

import numpy as np
import pytest

from tests.train.display.pages.reading import assert_explained, links, without_explanations, words
from tests.train.display.report.pictures import cost_picture, picture
from tests.train.records import (
    CLASSES,
    NO_FIGURES,
    calibration,
    decision_figures,
    decision_rule,
    epoch_record,
    evaluation,
    figures,
    loss_shares,
    muting,
)
from train.display.report.page import training_time
from train.measures.loss_share_records import LossThresholds
from train.measures.records import Costs, ImageLevel, IoUIntervals, RankingFigures
from train.run.decision import Decision

DASH = "\N{EN DASH}"


def test_the_page_opens_with_the_headline_and_its_meaning(report):
    text = words(report())
    start = "quickstart-1f3a quickstart-1f3a 0.500 Mean data-set IoU (intersection over union) of the 2"
    assert text.startswith(start)
    assert "9 images of the test part" in text
    assert "50 in 100 are labeled and predicted as the class" in text


def test_every_figure_of_every_class_is_shown(report):
    text = words(report()).replace(DASH, "-")
    assert "scratch 0.600 0.51-0.69 0.550 0.500 0.700" in text
    assert "pit 0.400 0.350" in text
    assert "pit 0.420 0.430 0.440" in text
    assert "mean of defects 0.500 0.41-0.59 0.450 0.400 0.600" in text
    assert "scratch 0.731 32 0.600 0.51-0.69 0.620" in text
    assert "pit 0.269 1 0.400" in text
    assert "is 0.633. Checkpoint: best, step 60" in text
    assert "95 % interval 0.41-0.59, from 7 groups of images" in text
    assert "123.4 images of the test part per second" in text


def test_a_decision_of_a_person_is_named_with_its_time_and_figures(report):
    measured = evaluation()
    chosen = dataclasses.replace(measured.decided, thresholds={"scratch": 0.321, "pit": 0.456})
    costs = Costs(10, 1)
    decision = Decision(decision_rule(), costs, "2026-01-31T12:00:00+00:00", 60, "abc", decision_figures())
    text = words(report(evaluation=dataclasses.replace(measured, chosen=chosen), decision=decision))
    text = text.replace(DASH, "-")
    assert "chosen by a person Chosen at 2026-01-31T12:00:00+00:00 on the validation part" in text
    assert "for the lowest cost: 10 an image wrongly passed, 1 an image wrongly scrapped" in text
    assert "2 of 11 images with a defect are wrongly passed, 3 of 13 images without a defect" in text
    assert "scratch 0.610 0.720 0.830 17 of 21 6" in text
    assert "scratch 0.321 32 0.600 0.51-0.69 0.620" in text
    assert "scratch 0.731 32 0.600 0.51-0.69 0.620" in text
    assert "by a person" not in words(report())


def test_the_breakdown_shows_a_dash_where_there_are_no_pixels(report):
    text = words(report()).replace(DASH, "-")
    assert "any 5 of 9 0.810 0.62-0.97 scratch 2 of 9 0.430 0.21-0.66 pit 2 of 9 0.430 0.21-0.66" in text
    assert "background 90.0 10.0 0.0 scratch <0.1 100.0 0.0 pit - - -" in text
    assert "scratch 16-63 17 13 11 5 1024+ 3 0 0 0 pit - -" in text
    assert "scratch 12.5 0.250 0.750 -" in text


def test_calibration_is_shown_where_it_was_measured(report):
    text = words(report(evaluation=evaluation(calibration={"scratch": calibration()})))
    assert "Ranges of fewer than 100 pixels are left out" in text
    assert "class expected error average error scratch 0.016 0.018" in text
    assert "Calibration" not in words(report())


def test_one_group_of_images_has_no_interval(report):
    one_group = evaluation(
        intervals=IoUIntervals(1, None, dict.fromkeys(CLASSES)),
        image_level=ImageLevel(9, RankingFigures(0, None, None), {}),
    )
    text = words(report(evaluation=one_group)).replace(DASH, "-")
    assert "No intervals: all images show the same item" in text
    assert "95 % interval" not in text
    assert "any 0 of 9 - " in text


def test_the_page_loads_no_external_resource(report):
    page = report(epochs=[epoch_record(1)])
    assert len(links(page)) > 5
    assert all(link.startswith(("data:", "#")) for link in links(page))
    assert not re.search(r"https?:|<script|<link|@import", without_explanations(page))


def test_each_section_links_to_its_explanation(report):
    measured = evaluation(calibration={"scratch": calibration()})
    assert_explained(report(epochs=[epoch_record(1)], evaluation=measured))


def test_names_are_escaped(report):
    evil = "<img src=x onerror=alert(1)>\"'&"
    classes = ("background", evil, "pit")
    shares = loss_shares(
        classes,
        thresholds=LossThresholds(evil, 0.3, 0.7),
        mask={evil: dict.fromkeys(classes, 1.0)},
    )
    page = report(
        title=evil,
        evaluation=evaluation(classes),
        epochs=[epoch_record(1, classes, terms={evil: 1.0}, loss_shares=shares)],
        muting=muting(classes, rescaled=0.1),
        pictures={"Worst": [picture(evil)]},
        cost_pictures=[cost_picture(evil)],
    )
    assert "<img src=x" not in page
    assert "<script" not in page
    assert page.count(html.escape(evil)[:20]) >= 8


def test_missing_figures_are_dashes(report):
    nothing = {
        "headline": None,
        "mean_with_background": None,
        "classes": dict.fromkeys(CLASSES, NO_FIGURES),
    }
    none = evaluation(**nothing, intervals=IoUIntervals(9, None, dict.fromkeys(CLASSES)))
    text = words(report(evaluation=none, epochs=[epoch_record(1, validation=figures(**nothing))]))
    assert f"quickstart-1f3a {DASH} No figure: the test part (9 images) has no defect" in text
    assert f"scratch {DASH} {DASH} {DASH} {DASH} " in text
    assert "nan" not in text.lower().split()


def test_one_defect_class_is_called_by_its_name(report):
    classes = ("background", "crack")
    text = words(report(evaluation=evaluation(classes), epochs=[epoch_record(1, classes)]))
    assert "Data-set IoU (intersection over union) of crack" in text
    assert "labeled or predicted as crack" in text
    assert "50 in 100 are labeled and predicted as crack" in text
    assert "mean of defects" not in text


def test_without_an_epoch_the_page_has_no_charts(report):
    page = report(cost_pictures=[])
    assert "<svg" not in page.replace('<svg class="stroke"', "")
    assert "No epoch was finished" in page
    assert "Share of the loss" not in page


def test_a_mean_is_shown_beside_its_runs_and_without_their_training(report):
    of_mean = {"muting": None, "cost_pictures": [], "config": {"../a": {"seed": 0}, "../<b>": {"seed": 1}}}
    members = {"../a": evaluation(headline=0.45), "../<b>": None}
    page = report(**of_mean, members=members)
    text = words(page).replace(DASH, "-")
    assert "run scratch pit mean of defects with thresholds ../a 0.600 0.400 0.450 0.450" in text
    assert "../<b> - - - - mean of the runs 0.600 0.400 0.500 0.500" in text
    assert "<b>" not in page
    headings = words(" ".join(re.findall("<h2.*?</h2>", page)))
    assert "Configuration" in headings
    for training in ("Learning curves", "Share of the loss", "Training labels"):
        assert training not in headings
    assert "Checkpoint:" not in text
    assert "Runs of the mean" not in report()


def test_without_pictures_the_page_says_why(report):
    assert "No image has a defect" in report(pictures={"Worst": [], "Best": []})


def test_thresholds_are_named_after_their_term(report):
    text = words(report(epochs=[epoch_record(1)]))
    assert "below 0.3, hard pixels above 0.7" in text
    assert "the thresholds of balanced at the last epoch" in text
    assert "7.2 times" in text
    default = loss_shares(thresholds=LossThresholds(None, 0.3, 0.7))
    assert "the default thresholds" in words(report(epochs=[epoch_record(1, loss_shares=default)]))


def test_the_cost_of_each_pixel_is_summed_up_before_and_after_training(report):
    cost = np.zeros((48, 64))
    cost[20:24, 10:13] = 2.0
    costly = cost_picture("one")._replace(before=cost, after=np.zeros((48, 64)))
    text = words(report(cost_pictures=[costly]))
    assert "one before: loss 0.00781, half of it on 0.2 % of the pixels" in text
    assert text.count("half of it") == 1
    assert "After training: the best checkpoint, step 60" in text


def test_equal_arguments_give_an_equal_page(report):
    epochs = [epoch_record(1), epoch_record(2)]
    assert report(epochs=epochs) == report(epochs=epochs)


def test_a_page_of_large_noisy_pictures_stays_small(report):
    pictures = [picture(str(i), i / 20, (799, 1021), channels=3) for i in range(20)]
    noise = np.random.default_rng(0).exponential(size=(799, 1021))
    costs = [cost_picture(p.name)._replace(image=p.image, label=p.label, before=noise) for p in pictures[:4]]
    assert len(report(pictures={"Worst": pictures}, cost_pictures=costs)) < 2_500_000


def test_a_failed_report_leaves_the_old_one(report, tmp_path):
    page = report()
    with pytest.raises(AttributeError):
        report(epochs=[None])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_muted_classes_are_warned_of(report):
    assert "scratch: a confusion mask of window 7 mutes" in words(
        report(muting=muting(window=7, rescaled=0.1))
    )
    without = words(report(muting=muting(window=None)))
    assert "mutes" not in without
    assert "scratch 11 0.0123" in without


def test_the_config_is_shown_with_the_modules_of_its_values(report):
    text = words(report())
    assert "balanced Term train.config" in text
    assert "loss balanced_loss balanced_jax.losses" in text
    assert "eps_sup Ramp train.config start 1, end 0.7, begin 0, until 0.333333" in text
    assert "crop [64, 64]" in text


def test_the_time_of_an_epoch_is_the_median():
    epochs = [
        epoch_record(i, seconds=s, images_per_second=100 / s) for i, s in ((1, 40.0), (2, 10.0), (3, 8.0))
    ]
    assert training_time(epochs) == (3, 90, 58.0, 10.0, 10.0)
    assert training_time([]) is None
