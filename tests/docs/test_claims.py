"""The figures that the page of the paper's claims takes from runs that are kept as evidence."""

import functools
import json
from pathlib import Path

from tests.docs.pages import ROOT
from train.measures.records import EpochRecord
from train.records import from_json

EVIDENCE = ROOT / "tests/benchmarks/evidence"


@functools.cache
def epochs(cell: str) -> list[EpochRecord]:
    lines = (EVIDENCE / cell / "metrics.jsonl").read_text().splitlines()
    return [from_json(json.loads(line), EpochRecord) for line in lines]


def share(cell: str, epoch: int, grouping: str, group: str) -> tuple[float, float]:
    """Shares of the pixels and of the loss, in percent."""
    shares = getattr(epochs(cell)[epoch].loss_shares, grouping)[group]
    return round(100 * shares.pixels, 1), round(100 * shares.loss)


def test_there_is_a_command_for_each_folder_of_cells():
    commands = (EVIDENCE / "README.md").read_text()
    for folder in filter(Path.is_dir, EVIDENCE.iterdir()):
        assert f"--evidence tests/benchmarks/evidence/{folder.name}`" in commands, folder


def test_easy_and_hard_pixels_hold_what_the_page_says():
    cell = "quickstart/cross_entropy-seed_0"
    assert [share(cell, epoch, "error", "easy")[1] for epoch in (3, 23)] == [73, 35]
    assert share(cell, 23, "error", "hard") == (0.7, 51)
    thresholds = epochs(cell)[23].loss_shares.thresholds
    assert (thresholds.eps_inf, thresholds.eps_sup) == (0.3, 0.7)


def test_borders_hold_what_the_page_says():
    surfaces, wall = "quickstart/cross_entropy-seed_0", "topomortar_noisy/cross_entropy_dice-seed_0"
    assert [share(surfaces, epoch, "boundary", "boundary") for epoch in (0, 23)] == [(1.1, 2), (1.1, 33)]
    (pixels, first), (_, last) = (share(wall, epoch, "boundary", "boundary") for epoch in (0, 31))
    assert (round(pixels), first, last) == (34, 49, 93)
