"""What a reader, or a browser, finds on a page."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, anchors
from train.display.pages.documentation import DOCUMENTATION

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium is installed")

_EXPLANATION = re.compile(f'<a class="help" href="{re.escape(DOCUMENTATION)}([^"]*).html#([^"]*)"')

_MEASURE = """<script>
function measure(frame) {
  const page = frame.contentDocument, root = page.documentElement;
  const seen = [...page.images].filter(image => image.complete && image.naturalWidth > 0);
  const styles = [...page.querySelectorAll(".view")].map(view => frame.contentWindow.getComputedStyle(view));
  document.title = JSON.stringify({
    overflow: root.scrollWidth - frame.clientWidth, height: root.scrollHeight,
    images: page.images.length, decoded: seen.length,
    cells: page.querySelectorAll(".confusion td, .heatmap td").length,
    narrowest: Math.min(...styles.map(style => parseFloat(style.width))),
    pixelated: styles.every(style => style.imageRendering == "pixelated"),
  });
}
</script>"""


def words(page: str) -> str:
    """Return the text of a page, with single spaces."""
    page = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def links(page: str) -> list[str]:
    """Return all addresses on a page, without those of the site, which open by a click alone."""
    found = re.findall(
        r"""(?:src|href)\s*=\s*["']?([^"'\s>]*)|url\(["']?([^)"']*)""", without_explanations(page)
    )
    return ["".join(link) for link in found]


def without_explanations(page: str) -> str:
    """Return a page without its links to the site."""
    return _EXPLANATION.sub("", page)


def assert_explained(page: str) -> None:
    """Check that each section of a page links to a heading of the site that exists."""
    sections = page.split("<section>")[1:]
    assert all(_EXPLANATION.search(section) for section in sections)
    for address, anchor in _EXPLANATION.findall(page):
        source = ROOT / "docs" / f"{address}.md"
        assert source.exists(), address
        assert anchor in anchors(source), f"{address}#{anchor}"


def measure(page: str, width: int, directory: Path) -> dict[str, Any]:
    """Return what Chromium measures on a page in a window of some width.

    Args:
        page: text of the HTML file.
        width: in pixels.
        directory: for temporary files.
    """
    frame = (
        f'<iframe width={width} height=800 frameborder=0 onload="measure(this)" srcdoc="{html.escape(page)}">'
    )
    return shown(f"<!doctype html>{_MEASURE}{frame}</iframe>", directory)


def shown(page: str, directory: Path) -> Any:
    """Return the JSON that the scripts of a page have written into its title when Chromium shows it.

    Args:
        page: text of the HTML file.
        directory: for temporary files.
    """
    (directory / "page.html").write_text(page, encoding="utf-8")
    quiet = ["background-networking", "component-update", "sync", "quic", "gpu"]
    options = ["headless", "no-sandbox", "no-first-run", "enable-logging=stderr"]
    options += [f"disable-{service}" for service in quiet]
    command = [_CHROMIUM, *(f"--{option}" for option in (*options, f"user-data-dir={directory / 'profile'}"))]
    address = f"file://{directory / 'page.html'}"
    browser = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True
    )
    assert "CONSOLE" not in browser.stderr, browser.stderr
    title = re.search("<title>(.*?)</title>", browser.stdout)
    assert title is not None
    return json.loads(html.unescape(title[1]))
