"""What end-to-end tests share."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.tiny import TINY


def rows(run: Path) -> list[dict]:
    """Return the lines of metrics.jsonl without the durations."""
    file = run / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a condition; fail after a deadline that only a hanging process misses."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "still waiting"
        time.sleep(0.005)


def command(run: Path, prepared: Path, *options: str) -> list[str]:
    """The arguments of `fit` on a tiny config."""
    return ["fit", str(TINY), "--run-dir", str(run), "--data-dir", str(prepared), *options]
