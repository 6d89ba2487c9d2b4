"""The page in Chromium, as a person uses it."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

MILLISECONDS = 30_000
"""Deadline of what the page does."""


class Page:
    """A tab with the page."""

    def __init__(self, browser: Any, address: str, **context: Any):
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(MILLISECONDS)
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
