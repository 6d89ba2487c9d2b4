"""Evaluation of a run: figures on one part of its data, and the report."""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from train import configfile
from train.data.prepare import Part, Prepared
from train.display.report.page import CostPicture, Picture, write_report
from train.display.tables import tables
from train.measures.bootstrap import average_precision_intervals
from train.measures.breakdown import Breakdown, summary
from train.measures.components import without_small
from train.measures.decision import area_counts, best_minimum_areas
from train.measures.figures import image_iou, or_none, stack
from train.measures.ranking import average_precision
from train.paths import Place
from train.run import directory as run_directory
from train.run.checkpoints import Checkpoints, chosen
from train.training.experiment import Experiment, Judge, JudgedImage
from train.training.initial import first_state
from train.training.step import State

SHOWN = 6
"""How many of the worst images the report shows, and how many of the best."""
COSTS_SHOWN = 2
"""Of how many of either it shows which pixels hold the loss."""


def evaluate(
    experiment: Experiment, data: Prepared, run: Place, *, part: str, which: str, console: Console
) -> None:
    """Writes evaluation.json and report.html, and prints the tables of figures.

    No map outlives its image; those of the images that are shown are made again.

    Args:
        experiment: of this run.
        data: its data.
        run: the run directory.
        part: "train", "validation" or "test".
        which: "best" (by the validation part) or "latest" checkpoint.
        console: where a person looks.

    Raises:
        UserError: the run has no checkpoint yet.
    """
    checkpoints = Checkpoints(run / "checkpoints")
    step = chosen(checkpoints, which, run)
    state = experiment.restore(checkpoints, step)
    examples, validation = data.parts[part], data.parts["validation"]
    of_part, of_validation = data.canvas(part), data.canvas("validation")
    thresholds = experiment.chooser(of_validation)(state, validation)
    # One for both parts where their images are of one size, to be compiled once.
    judges = {canvas: experiment.judge(canvas, thresholds) for canvas in {of_part, of_validation}}
    judge = judges[of_part]
    minimum_areas = chosen_areas(judges[of_validation](state, validation), len(data.classes))
    most_probable, decided = Breakdown(len(data.classes)), Breakdown(len(data.classes))
    scores = []
    for image in judge(state, examples):
        most_probable.add(image.classes, image.label, image.boundary)
        decided.add(without_small(image.decided, minimum_areas), image.label, image.boundary)
        scores.append(image.scores)
    evaluation = {
        "part": part,
        "checkpoint": which,
        "step": step,
        **summary(most_probable, examples.groups, data.classes),
        "image_level": image_level(np.stack(scores), examples, data.classes),
        "decided": {
            "thresholds": dict(zip(data.classes[1:], thresholds.tolist(), strict=True)),
            "minimum_areas": dict(zip(data.classes[1:], minimum_areas, strict=True)),
            **summary(decided, examples.groups, data.classes),
        },
    }
    run_directory.write_json(run / "evaluation.json", evaluation)
    ious = [image_iou(counts) for counts in most_probable.counts]
    shown = worst_and_best(ious)
    look_closer = [examples[i] for group in shown.values() for i in group[:COSTS_SHOWN]]
    costs = experiment.cost_viewer(of_part)
    before, after = (costs(s, look_closer) for s in (first_state(experiment, run), state))
    write_report(
        run / "report.html",
        title=run.name,
        config=configfile.to_json(dataclasses.replace(experiment.config, model=experiment.model)),
        rows=run_directory.read_rows(run / "metrics.jsonl"),
        evaluation=evaluation,
        survey=run_directory.read_json(run / "survey.json"),
        pictures={heading: pictures(judge, state, examples, group, ious) for heading, group in shown.items()},
        costs=[
            CostPicture(**example, before=first, after=last)
            for example, first, last in zip(look_closer, before, after, strict=True)
        ],
        predicted_per_second=predicted_per_second(judge, state, examples, experiment.config.batch_size),
    )
    for table in tables(evaluation):
        console.print(table)
    console.print(f"report: {run / 'report.html'}")


def chosen_areas(images: Iterable[JudgedImage], num_classes: int) -> list[int]:
    """The best minimum area of each defect class under the decision thresholds."""
    counts = [area_counts(image.decided, image.label, num_classes) for image in images]
    return best_minimum_areas(stack(counts)).tolist()


def image_level(scores: np.ndarray, part: Part, classes: Sequence[str]) -> dict[str, Any]:
    """How well images with a defect are told from those without, as it stands in evaluation.json.

    Args:
        scores: of `train.measures.ranking.image_scores`, [images, classes].
        part: the images; those without a labelled pixel are left out.
        classes: their names.
    """
    kept = [i for i, present in enumerate(part.present) if present]
    shown = [part.present[i] for i in kept]
    # In the place of the background: any defect.
    positive = np.array([[any(p), *(k in p for k in range(1, len(classes)))] for p in shown], bool)
    positive, scores = positive.reshape(-1, len(classes)), scores[kept]
    intervals = average_precision_intervals(scores, positive, [part.groups[i] for i in kept])
    any_defect, *by_class = (
        {
            "positive": int(has_it.sum()),
            "average_precision": or_none(float(average_precision(surest, has_it))),
            "interval": interval,
        }
        for surest, has_it, interval in zip(scores.T, positive.T, intervals, strict=True)
    )
    return {
        "images": len(kept),
        "any": any_defect,
        "classes": dict(zip(classes[1:], by_class, strict=True)),
    }


def pictures(
    judge: Judge, state: State, examples: Part, places: Sequence[int], ious: Sequence[float]
) -> list[Picture]:
    """Some images of a part with their predictions, which are made again."""
    records = [examples[i] for i in places]
    return [
        Picture(**record, prediction=image.classes, iou=ious[i])
        for i, record, image in zip(places, records, judge(state, records), strict=True)
    ]


def predicted_per_second(judge: Judge, state: State, examples: Part, number: int) -> float:
    """Images a second that a judge, compiled before, takes from decoded pixels to classes, in one batch."""
    batch = [examples[i % len(examples)] for i in range(number)]
    start = time.perf_counter()
    for _ in judge(state, batch):
        pass
    return number / (time.perf_counter() - start)


def worst_and_best(ious: Sequence[float]) -> dict[str, list[int]]:
    """Which images to show: the worst, worst first, and of the others the best, best first.

    Those with nothing to see (an IoU of NaN) are left out.
    """
    order = [int(i) for i in np.argsort(ious, kind="stable") if not np.isnan(ious[i])]
    return {"Worst": order[:SHOWN], "Best": order[SHOWN:][-SHOWN:][::-1]}
