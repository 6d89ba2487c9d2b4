"""Thresholds, costs and saving in Chromium, with what is typed wrong and what changes meanwhile."""

import pytest

from tests.train.serving.client import figures, reset, save
from tests.train.serving.test_application import RULE

pytestmark = pytest.mark.slow


def test_a_rule_is_saved_and_the_automatic_choice_comes_back(shown, page, served_run):
    automatic = shown.rule()
    shown.slide("scratch: threshold, in log odds", 1.25)
    shown.tab.get_by_label("spot: smallest size in pixels").fill("17")
    shown.tab.keyboard.press("Enter")
    shown.settle()
    chosen = shown.rule()
    assert chosen["minimum_areas"]["spot"] == 17
    shown.tab.click("#save")
    shown.tab.wait_for_selector("#state:has-text('chosen by a person')")
    decision = page.get("/decision").json["decision"]
    assert decision["rule"] == chosen
    assert decision["figures"] == figures(page, chosen)
    shown.tab.reload()
    shown.tab.wait_for_selector("#canvas[aria-label*='/']")
    shown.settle()
    assert shown.rule() == chosen
    assert shown.text("#state").startswith("In use: chosen by a person")
    shown.tab.click("#automatic")
    shown.settle()
    assert shown.rule() == automatic
    assert shown.text("#state").startswith("In use: the automatic choice")
    assert not (served_run[0] / "decision.json").exists()


def test_the_cheapest_rule_is_found_and_its_costs_come_back(shown, page):
    shown.tab.fill("#cost-miss", "100")
    before = shown.text("#cost")
    for wrong in ("0", "1000000001", "-1", "x", "1,000"):
        shown.tab.fill("#cost-miss", wrong)
        assert shown.tab.get_attribute("#cost-miss", "aria-invalid") == "true"
        assert "takes a number above 0, at most 1000000000" in shown.text("#cost-miss-note")
        assert shown.text("#cost") == before
    shown.tab.fill("#cost-miss", "99,5")
    shown.tab.click("#cheapest")
    shown.settle()
    cost = shown.text("#cost")
    assert float(cost.replace(",", "")) <= float(before.replace(",", ""))
    shown.tab.click("#save")
    shown.tab.wait_for_selector("#state:has-text('chosen by a person')")
    assert page.get("/decision").json["decision"]["costs"] == {"miss": 99.5, "false_alarm": 1}
    shown.tab.reload()
    shown.tab.wait_for_selector("#canvas[aria-label*='/']")
    shown.settle()
    assert shown.tab.input_value("#cost-miss") == "99.5"
    assert shown.text("#cost") == cost
    reset(page)


def test_a_typed_number_is_taken_or_refused_visibly(shown):
    threshold = shown.tab.get_by_label("scratch: threshold", exact=True)
    area = shown.tab.get_by_label("scratch: smallest size in pixels", exact=True)
    threshold.fill("0,3")
    threshold.press("Enter")
    shown.settle()
    last = shown.rule()
    assert last["thresholds"]["scratch"] == 0.3
    for field, wrong, says in (
        (threshold, ("2", "0", "x", "", "1"), "threshold: takes 0.0001 to 0.9999"),
        (area, ("5000", "2.5", "0", "x"), "smallest size: takes a whole number of pixels from 1 to 4096"),
    ):
        for text in wrong:
            field.fill(text)
            field.press("Enter")
            assert field.get_attribute("aria-invalid") == "true"
            assert says in shown.text(".invalid:visible")
            shown.settle()
            assert shown.rule() == last
        field.fill("0.3" if field is threshold else str(last["minimum_areas"]["scratch"]))
        field.press("Enter")
        shown.settle()
        assert shown.tab.locator(".invalid:visible").count() == 0


def test_figures_of_another_rule_are_grey_and_a_refused_save_is_said(shown, page, served_run):
    shown.slide("scratch: threshold, in log odds", 1)
    shown.settle()
    shown.tab.route("**/figures", lambda route: route.abort())
    shown.slide("scratch: threshold, in log odds", 2)
    shown.tab.wait_for_selector("body.stale:not(.busy)")
    opacity = "e => Number(getComputedStyle(e).opacity)"
    assert shown.tab.locator(".card").first.evaluate(opacity) < 0.5
    assert "is the command still running" in shown.text("#message")
    shown.tab.unroute("**/figures")
    shown.slide("scratch: threshold, in log odds", 1)
    shown.settle()
    assert shown.tab.locator(".card").first.evaluate(opacity) == 1
    assert shown.tab.is_hidden("#message")
    other = save(page, RULE)["decision"]  # by another tab
    shown.tab.click("#save")
    shown.tab.wait_for_selector("#message:has-text('changed elsewhere; reload the page')")
    shown.settle()
    assert other["chosen"] in shown.text("#state")
    file = served_run[0] / "decision.json"
    file.write_text("{")
    shown.tab.reload()
    shown.tab.wait_for_selector("#canvas[aria-label*='/']")
    shown.settle()
    assert "decision.json" in shown.text("#state")
    shown.tab.click("#automatic")
    shown.tab.wait_for_selector("#state:has-text('In use: the automatic choice.')")
    assert not file.exists()
