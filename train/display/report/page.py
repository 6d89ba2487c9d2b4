"""The page of the report."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from train.data.example import VOID
from train.display.breakdown_rows import component_rows, confusion_rows
from train.display.pages.colors import hex_colors
from train.display.pages.rendering import render_page
from train.display.pictures import HEAT_TICKS, class_colors, heat_colors
from train.display.report.config_tree import config_tree
from train.display.report.curves import learning_curves, loss_share_curves
from train.display.report.images import CostPicture, Picture, cost_frame, picture_frame
from train.display.report.reliability import reliability_diagrams
from train.inspection.muting import MUTED, Muting, muting_warnings
from train.measures.bootstrap import RESAMPLES
from train.measures.calibration import FEWEST_PIXELS
from train.measures.figures import defect_means
from train.measures.records import EpochRecord, Evaluation
from train.paths import AnyPath
from train.run.decision import Decision
from train.run.files import write_text

_HEAT_COLORS = 16
"""Stops of the gradient that the page shows as the scale of the heatmaps."""


class Timing(NamedTuple):
    """Duration and throughput of the training; each of the last two is the median over the epochs."""

    epochs: int
    steps: int
    seconds: float
    seconds_per_epoch: float
    images_per_second: float


def write_report(
    path: AnyPath,
    *,
    title: str,
    config: Mapping[str, Any],
    epochs: Sequence[EpochRecord],
    evaluation: Evaluation,
    decision: Decision | None,
    muting: Muting | None,
    pictures: Mapping[str, Sequence[Picture]],
    cost_pictures: Sequence[CostPicture],
    predicted_per_second: float,
    members: Mapping[str, Evaluation | None] = MappingProxyType({}),
) -> None:
    """Write the report, atomically; equal arguments give an equal file.

    Args:
        path: of the HTML file.
        title: of the page.
        config: in the JSON form of `train.configfile`; of a mean, those of its runs by name.
        epochs: of the training; none of a mean.
        evaluation: of one part.
        decision: of a person, that `evaluation.chosen` is of; None without one.
        muting: of the training labels; None of a mean.
        pictures: images of the evaluated part, in groups by their heading.
        cost_pictures: images of the evaluated part; none of a mean.
        predicted_per_second: images per second from decoded pixels to classes.
        members: of a mean, the evaluation of each run on the same part by name, None where there is none.
    """
    colors = hex_colors(class_colors(len(evaluation.classes)))
    heat_scale = heat_colors(np.geomspace(HEAT_TICKS[0], HEAT_TICKS[-1], _HEAT_COLORS))
    page = render_page(
        Path(__file__).with_name("report.html.jinja"),
        title=title,
        evaluation=evaluation,
        decision=decision,
        defects=list(evaluation.classes)[1:],
        colors=colors,
        means=defect_means(evaluation),
        decided_means=defect_means(evaluation.decided),
        chosen_means=defect_means(evaluation.chosen) if evaluation.chosen else None,
        confusion=confusion_rows(evaluation),
        components=component_rows(evaluation),
        reliability=reliability_diagrams(evaluation.calibration, colors),
        fewest_pixels=FEWEST_PIXELS,
        picture_groups={heading: list(map(picture_frame, group)) for heading, group in pictures.items()},
        has_void=any((picture.label == VOID).any() for group in pictures.values() for picture in group),
        learning_curves=learning_curves(epochs, colors),
        loss_share_curves=loss_share_curves(epochs, colors),
        loss_shares=epochs[-1].loss_shares if epochs else None,
        costs=list(map(cost_frame, cost_pictures)),
        heat_scale=hex_colors(heat_scale),
        heat_ticks=HEAT_TICKS,
        muting=muting,
        muted=MUTED,
        warnings=muting_warnings(muting) if muting else (),
        config=config_tree("", config).children,
        timing=training_time(epochs),
        predicted_per_second=predicted_per_second,
        resamples=RESAMPLES,
        members=members,
    )
    write_text(path, page)


def training_time(epochs: Sequence[EpochRecord]) -> Timing | None:
    """Return the duration of the training; None without an epoch."""
    if not epochs:
        return None
    seconds = [epoch.seconds for epoch in epochs]
    return Timing(
        epochs=len(epochs),
        steps=epochs[-1].step,
        seconds=sum(seconds),
        seconds_per_epoch=statistics.median(seconds),
        images_per_second=statistics.median(epoch.images_per_second for epoch in epochs),
    )
