"""`python -m train evaluate`: the figures of a run on one part of its data, and its report."""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from train import configfile
from train.commands.command import RunCommand
from train.data.prepare import Part, Prepared
from train.display.report.images import CostPicture, Picture
from train.display.report.page import write_report
from train.display.tables import evaluation_tables
from train.inference.viewers import ClassifiedImage, Classifier, classifier, cost_viewer, threshold_chooser
from train.measures.breakdown import BreakdownCounts
from train.measures.components import without_small
from train.measures.decision import area_counts, best_minimum_areas
from train.measures.figures import image_iou, stack
from train.measures.ranking import image_level
from train.measures.records import DecidedBreakdown, Evaluation
from train.paths import AnyPath
from train.run.checkpoints import Checkpoints, Choice
from train.run.directory import check_data, read_epochs, read_muting, read_run
from train.run.files import write_json
from train.run.log import console
from train.run.results import ImageCounts, pictured, remove_label_maps, write_image_counts, write_label_map
from train.setup import set_up
from train.training.experiment import Experiment
from train.training.initial import first_state
from train.training.state import State

_PICTURES = 6
"""Number of the worst images in the report, and of the best."""
_COST_PICTURES = 2
"""Number of the worst images whose cost per pixel the report shows, and of the best."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(RunCommand):
    """Measure a checkpoint on one part of the data and write the report."""

    usage: ClassVar[str] = "RUN_DIR [--part PART] [--checkpoint CHECKPOINT]"

    part: Literal["test", "validation", "train"] = "test"
    """Part of the data."""
    data_dir: Path = Path("prepared")
    """Folder of prepared data sets."""
    source: Path | None = None
    """Folder of the unpacked archive of the data set, for those that need one."""

    def run(self) -> None:
        """Evaluate."""
        config, _ = read_run(self.run_dir)
        experiment, data = set_up(config, data_dir=self.data_dir, source=self.source)
        check_data(self.run_dir, experiment.facts)
        evaluate(experiment, data, self.run_dir, part=self.part, checkpoint=self.checkpoint)


def evaluate(
    experiment: Experiment, data: Prepared, run_dir: AnyPath, *, part: str, checkpoint: Choice
) -> None:
    """Write evaluation.json and report.html, and print the tables of figures.

    No map is kept longer than its image takes; the images that the report shows are predicted again.

    Args:
        experiment: of this run.
        data: of this run.
        run_dir: the run directory.
        part: "train", "validation" or "test".
        checkpoint: "best" or "latest".

    Raises:
        UserError: the run has no checkpoint yet, or a file that the report needs is damaged.
    """
    epochs = read_epochs(run_dir, data.classes)
    muting = read_muting(run_dir, data.classes)
    checkpoints = Checkpoints(run_dir)
    step = checkpoints.step_of(checkpoint)
    state = experiment.restore(checkpoints, step)
    examples, validation = data.parts[part], data.parts["validation"]
    canvas, validation_canvas = data.canvas(part), data.canvas("validation")
    thresholds = threshold_chooser(experiment, validation_canvas)(state, validation)
    # One classifier for both parts where their canvases are equal, because it takes seconds to compile.
    classifiers = {c: classifier(experiment, c, thresholds) for c in {canvas, validation_canvas}}
    classify = classifiers[canvas]
    minimum_areas = _best_areas(classifiers[validation_canvas](state, validation), len(data.classes))

    most_probable, decided = BreakdownCounts(len(data.classes)), BreakdownCounts(len(data.classes))
    scores = []
    kept = pictured(examples.present)
    remove_label_maps(run_dir)
    for position, image in enumerate(classify(state, examples)):
        most_probable.add(image.classes, image.label, image.boundary)
        decided.add(without_small(image.decided, minimum_areas), image.label, image.boundary)
        scores.append(image.scores)
        if position in kept:
            write_label_map(run_dir, position, image.classes)
    defects = data.classes[1:]
    evaluation = Evaluation(
        **vars(most_probable.breakdown(examples.groups, data.classes)),
        part=part,
        checkpoint=checkpoint,
        step=step,
        image_level=image_level(np.stack(scores), examples.present, examples.groups, data.classes),
        decided=DecidedBreakdown(
            **vars(decided.breakdown(examples.groups, data.classes)),
            thresholds=dict(zip(defects, thresholds.tolist(), strict=True)),
            minimum_areas=dict(zip(defects, minimum_areas, strict=True)),
        ),
    )
    counts = ImageCounts(
        examples.names(), examples.groups, data.classes, stack(most_probable.counts), stack(decided.counts)
    )
    write_image_counts(run_dir, counts)
    write_json(run_dir / "evaluation.json", evaluation)

    ious = [image_iou(counts) for counts in most_probable.counts]
    shown = worst_and_best(ious)
    closely = [examples[i] for group in shown.values() for i in group[:_COST_PICTURES]]
    costs = cost_viewer(experiment, canvas)
    before, after = (costs(s, closely) for s in (first_state(experiment, run_dir), state))
    write_report(
        run_dir / "report.html",
        title=run_dir.name,
        config=configfile.to_json(dataclasses.replace(experiment.config, model=experiment.model)),
        epochs=epochs,
        evaluation=evaluation,
        muting=muting,
        pictures={
            heading: _pictures(classify, state, examples, group, ious) for heading, group in shown.items()
        },
        cost_pictures=[
            CostPicture(**example, before=first, after=last)
            for example, first, last in zip(closely, before, after, strict=True)
        ],
        predicted_per_second=_predicted_per_second(classify, state, examples, experiment.config.batch_size),
    )
    for table in evaluation_tables(evaluation):
        console.print(table)
    console.print(f"report: {run_dir / 'report.html'}", soft_wrap=True)


def _best_areas(images: Iterable[ClassifiedImage], num_classes: int) -> list[int]:
    """Return the best minimum area of each defect class under the decision thresholds."""
    counts = [area_counts(image.decided, image.label, num_classes) for image in images]
    return best_minimum_areas(stack(counts)).tolist()


def worst_and_best(ious: Sequence[float]) -> dict[str, list[int]]:
    """Return the positions of the worst images, worst first, and of the best of the others, best first.

    Images without a defect, labeled or predicted, have an IoU of NaN and are left out.
    """
    order = [int(i) for i in np.argsort(ious, kind="stable") if not np.isnan(ious[i])]
    return {"Worst": order[:_PICTURES], "Best": order[_PICTURES:][-_PICTURES:][::-1]}


def _pictures(
    classify: Classifier, state: State, examples: Part, positions: Sequence[int], ious: Sequence[float]
) -> list[Picture]:
    """Return some images of a part with their predictions, which are made again."""
    records = [examples[i] for i in positions]
    return [
        Picture(**record, prediction=image.classes, iou=ious[i])
        for i, record, image in zip(positions, records, classify(state, records), strict=True)
    ]


def _predicted_per_second(classify: Classifier, state: State, examples: Part, batch_size: int) -> float:
    """Return the images per second, in one batch, from decoded pixels to classes; compiled before."""
    batch = [examples[i % len(examples)] for i in range(batch_size)]
    start = time.perf_counter()
    for _ in classify(state, batch):
        pass
    return batch_size / (time.perf_counter() - start)
