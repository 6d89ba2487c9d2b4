"""The page in Chromium: drop, walk, slide, save, reload; hostile names and files, large images, a phone."""

import io
import re
import time

import numpy as np
import pytest
from PIL import Image

from tests.train.serving.browser import MILLISECONDS, Page
from tests.train.serving.client import figures
from tests.train.serving.test_application import DEFECTS, png

pytestmark = pytest.mark.slow


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
        said = shown.tab.locator(".figures").nth(k).inner_text()
        assert re.match(rf"{one['found']} defects? found, {one['missed']} missed", said)
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
    shown.tab.wait_for_selector("#name:has-text('large.png')", timeout=10 * MILLISECONDS)
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
    shown.tab.keyboard.press("a")
    shown.tab.keyboard.press("u")  # before the answer
    shown.tab.wait_for_selector("#message:has-text('Taken back.')")
    shown.settle()
    assert shown.text("#name") == name
    assert shown.text("#said") == ""
    names = [name]
    shown.tab.keyboard.press("a")
    shown.settle()
    names.append(shown.text("#name"))
    shown.tab.keyboard.press("r")
    shown.settle()
    assert shown.text("#handed") == f"1 accepted, 1 rejected in {session.handover.out}"
    for back in reversed(names):  # the last verdicts, from the images after them
        shown.tab.keyboard.press("u")
        shown.settle()
        assert shown.text("#name") == back
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
    if width < 900:
        tops = [
            shown.tab.locator(f"#{each}").bounding_box()["y"] for each in ("save", "sliders", "components")
        ]
        assert tops == sorted(tops)
    shown.context.close()
