"""The page in Chromium: drop, walk, slide, save, reload; hostile names and files, large images, a phone."""

import base64
import io
import re
import shutil
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.train.serving.test_application import DEFECTS, png

pytestmark = pytest.mark.slow

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SWITCHES = ("disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-sync")
_MILLISECONDS = 30_000
"""Deadline of what the page does."""


@pytest.fixture(scope="module")
def browser():
    if _CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-component-update", *(f"--{switch}" for switch in _SWITCHES)]
        with driver.chromium.launch(executable_path=_CHROMIUM, args=arguments) as chromium:
            yield chromium


class Page:
    """A tab with the page."""

    def __init__(self, browser: Any, address: str, **context: Any):
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(_MILLISECONDS)
        self.complaints: list[str] = []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.requested: list[str] = []
        self.asked: list[Any] = []
        self.tab.on("request", self._note)
        self.tab.goto(address)
        self.tab.wait_for_selector("#canvas[aria-label*='/']")
        self.settle()

    def _note(self, request: Any) -> None:
        self.requested.append(request.url)
        if request.url.endswith("/figures"):
            self.asked.append(request.post_data_json)

    def settle(self) -> None:
        """Wait until there is nothing left to be answered."""
        self.tab.wait_for_selector("body[aria-busy='false']")

    def text(self, selector: str) -> str:
        return self.tab.locator(selector).inner_text()

    def slide(self, label: str, value: float) -> None:
        """Move a slider as a drag does."""
        move = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
        self.tab.get_by_label(label, exact=True).evaluate(move, value)

    def rule(self) -> dict[str, dict[str, float]]:
        """Return the rule that the page asked the figures of last."""
        return self.asked[-1]["rule"]

    def canvas(self) -> np.ndarray:
        """Return what the canvas shows."""
        with Image.open(io.BytesIO(self.tab.locator("#canvas").screenshot())) as shown:
            return np.asarray(shown.convert("RGB")).copy()

    def drop(self, *files: tuple[str, bytes]) -> None:
        """Drop files on the page."""
        script = """files => {
            const transfer = new DataTransfer();
            for (const [name, bytes] of files)
                transfer.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name));
            for (const kind of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, {
                    dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
        self.tab.evaluate(script, [[name, base64.b64encode(content).decode()] for name, content in files])


@pytest.fixture
def shown(browser, page):
    opened = Page(browser, page.address)
    yield opened
    opened.context.close()


def figures(page, rule):
    return page.give("POST", "/figures", {"rule": rule}).json["figures"]


def test_the_page_opens_without_complaint_and_asks_no_other_site(shown, page, session):
    assert shown.tab.url == f"http://{page.host}/"
    assert shown.complaints == []
    assert all(url.startswith(f"http://{page.host}/") for url in shown.requested)
    assert shown.text("#title") == session.run_dir.name
    assert shown.text("#about") == "figures of the validation part, 12 images"
    assert np.ptp(shown.canvas()) > 50
    automatic = page.get("/start").json["automatic"]["figures"]
    assert shown.text("#passed") == str(automatic["wrongly_passed"])
    assert shown.text("#scrapped") == str(automatic["wrongly_scrapped"])
    assert shown.text("#state").startswith("In use: the automatic choice")


def test_without_the_token_there_is_no_page(browser, page):
    context = browser.new_context()
    tab = context.new_page()
    assert tab.goto(f"http://{page.host}/").status == 403
    assert "Open the address" in tab.content()
    context.close()


def test_walking_through_the_images(shown, page):
    walks = page.give("POST", "/figures", {"rule": page.get("/start").json["automatic"]["rule"]}).json[
        "walks"
    ]
    shown.tab.select_option("#walk", "validation worst")
    seen = []
    for _ in walks["validation"]["worst"]:
        shown.settle()
        seen.append(shown.text("#name"))
        shown.tab.keyboard.press("ArrowRight")
    assert [int(name.rpartition("/")[2]) for name in seen] == walks["validation"]["worst"]
    assert shown.text("#position") == f"{len(seen)} / {len(seen)}"
    shown.tab.keyboard.press("ArrowLeft")
    shown.settle()
    assert shown.text("#name") == seen[-2]


def test_a_click_on_a_number_shows_its_images(shown, page):
    shown.slide("All defects at once", 6)  # nothing is predicted
    shown.settle()
    walks = page.give("POST", "/figures", {"rule": shown.rule()}).json["walks"]["validation"]
    shown.tab.click("#show-passed")
    shown.settle()
    assert shown.text("#position") == f"1 / {len(walks['passed'])}"
    assert int(shown.text("#name").rpartition("/")[2]) == walks["passed"][0]
    assert shown.text("#components tbody tr td:last-child >> nth=0") == "missed"
    assert shown.tab.is_disabled("#show-scrapped")


def test_a_slider_changes_figures_and_pictures(shown, page):
    before = shown.canvas()
    for k, odds in ((0, 5), (1, 5), (2, 1.5)):
        shown.slide(f"{DEFECTS[k]}: threshold, in log odds", odds)
        shown.settle()
        expected = figures(page, shown.rule())
        assert shown.text("#passed") == str(expected["wrongly_passed"])
        assert shown.text("#scrapped") == str(expected["wrongly_scrapped"])
        one = expected["classes"][DEFECTS[k]]
        assert (
            shown.tab.locator(".figures")
            .nth(k)
            .inner_text()
            .startswith(f"{one['found']} defects found, {one['missed']} missed")
        )
    assert (shown.canvas() != before).any()
    assert shown.text("#state").startswith("Not saved.")
    assert shown.complaints == []


def test_the_last_of_many_moves_counts(shown, page):
    first = len(shown.asked)
    shown.tab.route("**/figures", lambda route: (time.sleep(0.3), route.continue_()))
    drag = """async (slider, values) => { for (const value of values) {
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
        await new Promise(go => setTimeout(go, 20));
    } }"""
    shown.tab.locator("#shift").evaluate(drag, np.linspace(-6, 5, 60).tolist())
    shown.settle()
    expected = figures(page, shown.rule())
    assert shown.rule()["thresholds"]["pit"] == pytest.approx(
        float(shown.tab.get_by_label("pit: threshold", exact=True).input_value()), rel=1e-3
    )
    assert shown.text("#passed") == str(expected["wrongly_passed"])
    assert shown.text("#scrapped") == str(expected["wrongly_scrapped"])
    assert len(shown.asked) - first < 20  # figures that nobody waits for are not asked for


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
    decision = page.get("/start").json["decision"]
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


def test_the_cheapest_rule_is_found(shown):
    shown.tab.fill("#cost-miss", "100")
    before = float(shown.text("#cost").replace(",", ""))
    shown.tab.click("#cheapest")
    shown.settle()
    assert float(shown.text("#cost").replace(",", "")) <= before


def test_images_are_dropped(shown):
    shown.drop(("first.png", png(seed=5)), ("second.png", png((60, 80), seed=6)))
    shown.tab.wait_for_selector("#name:has-text('second.png')")
    shown.tab.wait_for_selector("#message", state="hidden")
    assert re.fullmatch(r"\d+ / \d+", shown.text("#position"))
    assert shown.tab.is_disabled("#toggle-label")
    shown.tab.keyboard.press("ArrowLeft")
    shown.tab.wait_for_selector("#name:has-text('first.png')")


def test_a_hostile_name_is_text_and_a_damaged_file_one_line(shown):
    hostile = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>.png"
    shown.drop((hostile, png(seed=7)), (f"{hostile}2", b"no image"), ("cut.png", png(seed=8)[:-99]))
    shown.tab.wait_for_selector("#message:has-text('cut.png: is damaged')")
    assert shown.text("#name") == hostile
    lines = shown.text("#message").splitlines()
    assert lines[0].startswith(f"{hostile}2: is no PNG, JPEG, BMP or TIFF image")
    assert len(lines) == 2
    assert shown.tab.locator("img, script").count() == 1  # the script of the page
    assert shown.tab.title() != "hacked"
    assert not any("ecurity" in complaint for complaint in shown.complaints)


def test_a_large_image_is_seen_whole_and_pixel_by_pixel(shown):
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 110, (4096, 4096), np.uint8)
    pixels[4000:4020, 3900:3910] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
    shown.tab.set_input_files(
        "#files", {"name": "large.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    shown.tab.wait_for_selector("#name:has-text('large.png')", timeout=10 * _MILLISECONDS)
    shown.settle()
    shown.tab.keyboard.press("p")
    whole = shown.canvas()
    assert whole[whole.shape[0] // 2, whole.shape[1] // 2].mean() == pytest.approx(100, abs=15)
    box = shown.tab.locator("#canvas").bounding_box()
    side = min(box["width"], box["height"])
    x = box["x"] + (box["width"] - side) / 2 + side * 3905 / 4096
    y = box["y"] + (box["height"] - side) / 2 + side * 4010 / 4096
    shown.requested.clear()
    shown.tab.mouse.move(x, y)
    for _ in range(20):
        shown.tab.mouse.wheel(0, -100)
    shown.settle()
    near = shown.canvas()[50:-50, 50:-50]
    assert 100 < (near.mean(-1) > 240).sum() < near[..., 0].size
    tiles = [url for url in shown.requested if "/tile?" in url]
    assert 0 < len(tiles) < 200
    assert any("level=0" in url for url in tiles)
    shown.tab.keyboard.press("0")
    shown.settle()
    below_the_readout = np.s_[100:]
    assert np.abs(shown.canvas().astype(int) - whole)[below_the_readout].mean() < 2


def test_the_probabilities_are_those_under_the_pointer(shown, session):
    shown.tab.select_option("#walk", "test worst")
    shown.settle()
    name = shown.text("#name")
    part = session.parts["test"]
    image = part.images[part.names.index(name)]
    box = shown.tab.locator("#canvas").bounding_box()
    side = min(box["width"], box["height"])
    row, column = 31, 12
    shown.tab.mouse.move(
        box["x"] + (box["width"] - side) / 2 + side * (column + 0.5) / 48,
        box["y"] + (box["height"] - side) / 2 + side * (row + 0.5) / 48,
    )
    shown.tab.wait_for_selector("#readout:visible")
    shown.settle()
    said = shown.text("#readout")
    for k, defect in enumerate(DEFECTS):
        assert f"{defect} {image.probabilities[row, column, k]:.3f}" in " ".join(said.split())


def test_verdicts_by_keys(shown, session):
    shown.tab.select_option("#walk", "test worst")
    shown.settle()
    name = shown.text("#name")
    for key, verdict in (("a", "accepted"), ("n", "no defect"), ("r", "rejected")):
        shown.tab.keyboard.press(key)
        shown.settle()
        assert shown.text("#name") != name
        shown.tab.keyboard.press("ArrowLeft")
        shown.settle()
        assert shown.text("#said") == verdict
        assert shown.text("#name") == name
        files = list((session.handover.out / "masks").iterdir())
        assert len(files) == (0 if verdict == "rejected" else 1)
    shown.tab.keyboard.press("u")
    shown.settle()
    assert shown.text("#said") == ""
    assert session.handover.counts() == {"accepted": 0, "no defect": 0, "rejected": 0}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_every_width_shows_all_of_it(browser, page, width, scheme):
    shown = Page(browser, page.address, color_scheme=scheme)
    shown.tab.set_viewport_size({"width": width, "height": 844})
    shown.settle()
    assert shown.tab.evaluate("document.documentElement.scrollWidth") <= width
    for element in shown.tab.locator("button:visible, input:visible, select:visible, #canvas").all():
        box = element.bounding_box()
        assert box["x"] >= 0, element
        assert box["x"] + box["width"] <= width, element
        assert element.evaluate("e => e.innerText || e.ariaLabel || e.labels?.length || e.title"), element
    canvas = shown.tab.locator("#canvas").bounding_box()
    assert canvas["width"] > 0.6 * min(width, 900)
    shown.context.close()
