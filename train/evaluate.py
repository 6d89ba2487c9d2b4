"""Evaluation of a run: figures on one part of its data, and the report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from train import configfile, run_directory
from train.checkpoints import Checkpoints, chosen
from train.data.prepare import Prepared
from train.experiment import Experiment
from train.figures import decided_table, figures, image_iou, stack, table
from train.report import CostPicture, Picture, write_report
from train.start import first_state

SHOWN = 6
"""How many of the worst images the report shows, and how many of the best."""
COSTS_SHOWN = 2
"""Of how many of either it shows which pixels hold the loss."""


def evaluate(
    experiment: Experiment, data: Prepared, run: Path, *, part: str, which: str, console: Console
) -> None:
    """Writes evaluation.json and report.html, and prints the table of figures.

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
    examples = data.parts[part]
    thresholds = experiment.chooser(data.canvas("validation"))(state, data.parts["validation"])
    judged = list(experiment.judge(data.canvas(part), thresholds)(state, examples))
    evaluation = {
        "part": part,
        "checkpoint": which,
        "step": step,
        **figures(stack([image.counts for image in judged]), data.classes),
        "decided": {
            "thresholds": dict(zip(data.classes[1:], thresholds.tolist(), strict=True)),
            **figures(stack([image.decided for image in judged]), data.classes),
        },
    }
    run_directory.write_json(run / "evaluation.json", evaluation)
    ious = [image_iou(image.counts) for image in judged]
    shown = worst_and_best(ious)
    look_closer = [examples[i] for group in shown.values() for i in group[:COSTS_SHOWN]]
    costs = experiment.cost_viewer(data.canvas(part))
    before, after = (costs(s, look_closer) for s in (first_state(experiment, run), state))
    write_report(
        run / "report.html",
        title=run.name,
        config=configfile.to_json(experiment.config),
        rows=run_directory.read_rows(run / "metrics.jsonl"),
        evaluation=evaluation,
        survey=run_directory.read_json(run / "survey.json"),
        pictures={
            heading: [
                Picture(**examples[i], prediction=np.asarray(judged[i].classes), iou=ious[i]) for i in group
            ]
            for heading, group in shown.items()
        },
        costs=[
            CostPicture(**example, before=first, after=last)
            for example, first, last in zip(look_closer, before, after, strict=True)
        ],
    )
    console.print(table(evaluation))
    console.print(decided_table(evaluation))
    console.print(f"report: {run / 'report.html'}")


def worst_and_best(ious: Sequence[float]) -> dict[str, list[int]]:
    """Which images to show: the worst, worst first, and of the others the best, best first.

    Those with nothing to see (an IoU of NaN) are left out.
    """
    order = [int(i) for i in np.argsort(ious, kind="stable") if not np.isnan(ious[i])]
    return {"Worst": order[:SHOWN], "Best": order[SHOWN:][-SHOWN:][::-1]}
