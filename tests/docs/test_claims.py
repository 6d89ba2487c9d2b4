"""The figures that pages take from runs that are kept as evidence."""

import functools
import itertools
import json
import re

import numpy as np
import pytest

from tests.docs.pages import ROOT
from train.measures.records import EpochRecord
from train.records import from_json

EVIDENCE = ROOT / "tests/benchmarks/evidence"
COMPARED = ("paper", "slowly_closing_relaxing_no_window", "cross_entropy_dice")
"""Objectives of the columns of the table that says which loss to take."""
FOLDERS = (
    "topomortar_noisy", "topomortar_noisy_accurate_validation", "topomortar_pseudo", "topomortar_accurate",
    "neu_seg", "kolektor_sdd", "magnetic_tile",
)  # fmt: skip
"""Cells of its rows; those of the first are by the most probable class, the others under thresholds."""


@functools.cache
def epochs(cell: str) -> list[EpochRecord]:
    lines = (EVIDENCE / cell / "metrics.jsonl").read_text().splitlines()
    return [from_json(json.loads(line), EpochRecord) for line in lines]


def share(cell: str, epoch: int, grouping: str, group: str) -> tuple[float, float]:
    """Shares of the pixels and of the loss, in percent."""
    shares = getattr(epochs(cell)[epoch].loss_shares, grouping)[group]
    return round(100 * shares.pixels, 1), round(100 * shares.loss)


def test_the_cells_that_are_kept_are_those_that_the_page_lists():
    listed = set()
    for line in (EVIDENCE / "README.md").read_text().splitlines():
        if line.startswith("| `"):
            folder, _, objectives, inject, seeds = (cell.strip(" `") for cell in line.split("|")[1:-1])
            level = f"-inject_{inject}" if inject else ""
            chosen = itertools.product(objectives.split(), seeds.split())
            listed |= {f"{folder}/{objective}{level}-seed_{seed}" for objective, seed in chosen}
    kept = {f"{cell.parent.name}/{cell.name}" for cell in EVIDENCE.glob("*/*-seed_?")}
    assert listed == kept


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


def mean_iou(folder: str, objective: str) -> str:
    """Mean over the seeds, without pasted defects, as the pages show it; empty where there is no cell."""
    cells = re.compile(rf"{objective}(-inject_None)?-seed_\d")
    evaluations = [
        json.loads((cell / "evaluation.json").read_text())
        for cell in (EVIDENCE / folder).iterdir()
        if cells.fullmatch(cell.name)
    ]
    rules = [each if folder == FOLDERS[0] else each["decided"] for each in evaluations]
    return f"{np.mean([rule['headline'] for rule in rules]):.2f}".removeprefix("0") if rules else ""


@pytest.mark.parametrize("page", ["README.md", "docs/howto/choose_loss.md"])
def test_the_table_of_losses_has_the_figures_of_the_cells(page):
    [_, *below] = (ROOT / page).read_text().partition("| your labels and defects |")[2].split("\n")
    rows = [line.split("|")[2 : 2 + len(COMPARED)] for line in below[1 : 1 + len(FOLDERS)]]
    shown = [[cell.strip().strip("*") for cell in row] for row in rows]
    assert shown == [[mean_iou(folder, objective) for objective in COMPARED] for folder in FOLDERS]
