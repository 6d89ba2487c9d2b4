"""The report as a browser shows it, on a phone and on a desk."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.train.display.report.pictures import cost_picture, picture
from tests.train.records import epoch_record, evaluation
from train.measures.records import IoUIntervals

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MEASURE = """<script>
function measure(frame) {
  const page = frame.contentDocument, root = page.documentElement;
  const seen = [...page.images].filter(image => image.complete && image.naturalWidth > 0);
  const styles = [...page.querySelectorAll(".view")].map(view => frame.contentWindow.getComputedStyle(view));
  document.title = JSON.stringify({
    overflow: root.scrollWidth - frame.clientWidth, height: root.scrollHeight,
    images: page.images.length, decoded: seen.length,
    confusion: page.querySelectorAll(".confusion td").length,
    narrowest: Math.min(...styles.map(style => parseFloat(style.width))),
    pixelated: styles.every(style => style.imageRendering == "pixelated"),
  });
}
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_all_of_it_without_scrolling_sideways(report, tmp_path_factory, width):
    long = "a_name_without_any_space_" * 6
    classes = ("background", long, "blowhole", "break", "crack", "fray", "uneven")
    page = report(
        evaluation=evaluation(
            classes,
            intervals=IoUIntervals(7, (0.4, 0.6), dict.fromkeys(classes, (0.4, 0.6))),
            confusion=(1000 * np.eye(7, dtype=int) + 7).tolist(),
        ),
        epochs=[epoch_record(epoch, classes) for epoch in (1, 2)],
        title=long,
        pictures={"Worst": [picture(long, 0.1), picture("wide", 0.2, (20, 150))]},
        cost_pictures=[cost_picture(long), cost_picture("wide", (20, 150))],
    )
    directory = tmp_path_factory.mktemp("browser")
    frame = (
        f'<iframe width={width} height=800 frameborder=0 onload="measure(this)" srcdoc="{html.escape(page)}">'
    )
    (directory / "frame.html").write_text(f"<!doctype html>{MEASURE}{frame}</iframe>", encoding="utf-8")
    quiet = ["background-networking", "component-update", "sync", "quic", "gpu"]
    options = ["headless", "no-sandbox", "no-first-run", "enable-logging=stderr"]
    options += [f"disable-{service}" for service in quiet]
    command = [CHROMIUM, *(f"--{option}" for option in (*options, f"user-data-dir={directory / 'profile'}"))]
    address = f"file://{directory / 'frame.html'}"
    browser = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True
    )
    assert "CONSOLE" not in browser.stderr
    title = re.search("<title>(.*?)</title>", browser.stdout)
    assert title is not None
    seen = json.loads(html.unescape(title[1]))
    assert seen["overflow"] <= 0
    assert seen["height"] > 1500
    assert seen["images"] == seen["decoded"] == 10
    assert seen["confusion"] == 49
    assert seen["narrowest"] > 80
    assert seen["pixelated"]
