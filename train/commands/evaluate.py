"""`python -m train evaluate`: the figures of a run, or of the mean of several, on one part of the data."""

import dataclasses
import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import tyro
from etils import epath
from rich.table import Table

from train import configfile
from train.commands.command import RunCommand
from train.commands.rule_choice import RuleChoice
from train.data.cache import Batch
from train.data.pixels import png_bytes
from train.data.prepare import Part, Prepared
from train.display.report.images import CostPicture, Picture
from train.display.report.page import write_report
from train.display.tables import decision_table, evaluation_tables, members_table
from train.errors import UserError
from train.inference.trained import Trained, load_trained, make_mean
from train.inference.viewers import ClassifiedImage, Classifier, classifier, cost_viewer
from train.measures.breakdown import BreakdownCounts
from train.measures.calibration import calibration, calibration_sums
from train.measures.cost_search import least_cost_rule
from train.measures.decision import automatic_rule, class_map, decision_counts, decision_figures
from train.measures.figures import image_iou, stack
from train.measures.ranking import image_level
from train.measures.records import DecidedBreakdown, Evaluation
from train.paths import AnyPath
from train.run.checkpoints import Choice
from train.run.decision import (
    Decision,
    current_rule,
    mismatch,
    read_decision,
    remove_decision,
    write_decision,
)
from train.run.directory import check_data, read_config_json, read_epochs, read_evaluation, read_muting
from train.run.files import write_json
from train.run.log import console
from train.run.results import ImageCounts, pictured, remove_evaluation, write_image_counts, write_label_map
from train.setup import set_up
from train.training.initial import first_state
from train.training.state import State

_PICTURES = 6
"""Number of the worst images in the report, and of the best."""
_COST_PICTURES = 2
"""Number of the worst images whose cost per pixel the report shows, and of the best."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(RunCommand):
    """Measure a checkpoint on one part of the data and write the report.

    Of several runs, the mean of their probabilities is measured. --out becomes a directory that `evaluate`,
    `predict` and `export` take like a run directory.
    """

    usage: ClassVar[str] = "RUN_DIR [RUN_DIR ... --out DIR] [--part PART] [--checkpoint CHECKPOINT]"

    others: Annotated[
        tuple[epath.Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUN_DIR ...]")
    ] = ()
    """Further runs of the mean, on the same data, with the same classes and input; networks and objectives
    may differ."""
    out: Path | None = None
    """Directory of the mean, new, empty or that of a mean."""
    part: Literal["test", "validation", "train"] = "test"
    """Part of the data."""
    data_dir: Path = Path("prepared")
    """Folder of prepared data sets."""
    source: Path | None = None
    """Folder of the unpacked archive of the data set, for those that need one."""
    thresholds: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME=VALUE ...")] = None
    """Choose decision thresholds by hand: VALUE of the only defect class, or NAME=VALUE of each; classes that
    are left out keep theirs. Writes decision.json, which `predict --decide`, `export` and `evaluate` take for
    this checkpoint from then on, and prints the figures of the validation part."""
    minimum_areas: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME=VALUE ...")] = None
    """Choose minimum areas by hand, in pixels, in the same way."""
    costs: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="MISS FALSE_ALARM")] = None
    """Choose both for the lowest total cost on the validation part: cost of an image with a defect that is
    passed, and of one without that is scrapped. Keeps the probabilities of the validation part in memory."""
    automatic: bool = False
    """Remove decision.json, which returns to the automatic choice, before the evaluation."""

    def run(self) -> None:
        """Evaluate.

        Raises:
            UserError: there are several runs but no --out, the runs have no mean, a directory or the data
                cannot be used, or flags are wrong or exclude each other.
        """
        choice = RuleChoice(self.thresholds, self.minimum_areas, self.costs, self.automatic)
        if self.out is not None:
            run_dir = self.out
            trained = make_mean(run_dir, (self.run_dir, *self.others), self.checkpoint)
        elif self.others:
            raise UserError("evaluate: several runs are evaluated as their mean; give --out DIR for it")
        else:
            run_dir = self.run_dir
            trained = load_trained(run_dir, self.checkpoint)
        experiment, data = set_up(trained.experiment.config, data_dir=self.data_dir, source=self.source)
        check_data(run_dir, trained.experiment.facts, experiment.facts)
        trained = trained._replace(experiment=experiment)
        if self.automatic:
            remove_decision(run_dir)
        if choice.by_person:
            _choose(choice, trained, data, run_dir)
        elif trained.members:
            _evaluate_mean(trained, data, run_dir, part=self.part)
        else:
            evaluate(trained, data, run_dir, part=self.part, checkpoint=self.checkpoint)


def _choose(choice: RuleChoice, trained: Trained, data: Prepared, run_dir: AnyPath) -> None:
    """Write a person's decision, and print its figures on the validation part.

    Raises:
        UserError: the choice is of no class or number that there is, or it leaves out a class without a rule.
    """
    facts, defects = trained.experiment.facts, data.classes[1:]
    classify = classifier(trained.experiment, data.canvas("validation"))
    images: Iterable[ClassifiedImage] = classify(trained.state, data.parts["validation"])
    if choice.costs:
        images = list(images)
        rule = least_cost_rule(images, defects, choice.costs)
    else:
        rule = choice.rule(defects, lambda: current_rule(run_dir, trained.step, facts))
    figures = decision_figures((decision_counts(x.probabilities, x.label, rule) for x in images), defects)
    decision = write_decision(
        run_dir, rule, figures, step=trained.step, data=facts.fingerprint, costs=choice.costs
    )
    console.print(decision_table(decision))
    console.print(
        f"written to {run_dir / 'decision.json'}, for `predict --decide`, `export` and `evaluate`",
        soft_wrap=True,
    )


def evaluate(trained: Trained, data: Prepared, run_dir: AnyPath, *, part: str, checkpoint: Choice) -> None:
    """Write evaluation.json and report.html of a run, and print the tables of figures.

    No map is kept longer than its image takes; the images that the report shows are predicted again.

    Args:
        trained: the network of this run.
        data: of this run.
        run_dir: the run directory.
        part: "train", "validation" or "test".
        checkpoint: "best" or "latest".

    Raises:
        UserError: a file that the report needs is damaged.
    """
    epochs = read_epochs(run_dir, data.classes)
    muting = read_muting(run_dir, data.classes)
    decision = _decision_of(trained, run_dir)
    measured = _measure(trained, data, run_dir, decision, part=part, checkpoint=checkpoint)
    experiment, closely = trained.experiment, measured.closely
    costs = cost_viewer(experiment, data.canvas(part))
    before, after = (costs(s, closely) for s in (first_state(experiment, run_dir), trained.state))
    write_report(
        run_dir / "report.html",
        title=run_dir.name,
        config=configfile.to_json(dataclasses.replace(experiment.config, model=experiment.model)),
        epochs=epochs,
        evaluation=measured.evaluation,
        decision=decision,
        muting=muting,
        pictures=measured.pictures,
        cost_pictures=[
            CostPicture(**example, before=first, after=last)
            for example, first, last in zip(closely, before, after, strict=True)
        ],
        predicted_per_second=measured.predicted_per_second,
    )
    _print(evaluation_tables(measured.evaluation), run_dir)


def _evaluate_mean(trained: Trained, data: Prepared, mean_dir: AnyPath, *, part: str) -> None:
    """Write evaluation.json and report.html of the mean of several runs, and print the tables of figures.

    Raises:
        UserError: a file of a run that the report needs is damaged.
    """
    configs, members = {}, {}
    for member in trained.members:
        run_dir = member.run_dir(mean_dir)
        configs[member.run] = read_config_json(run_dir)["config"]
        evaluation = read_evaluation(run_dir, member.step, data.classes)
        members[member.run] = evaluation if evaluation and evaluation.part == part else None
    decision = _decision_of(trained, mean_dir)
    measured = _measure(trained, data, mean_dir, decision, part=part, checkpoint="best")
    write_report(
        mean_dir / "report.html",
        title=mean_dir.name,
        config=configs,
        epochs=(),
        evaluation=measured.evaluation,
        decision=decision,
        muting=None,
        pictures=measured.pictures,
        cost_pictures=(),
        predicted_per_second=measured.predicted_per_second,
        members=members,
    )
    tables = [members_table(members, measured.evaluation), *evaluation_tables(measured.evaluation)]
    _print(tables, mean_dir)


def _print(tables: Iterable[Table], run_dir: AnyPath) -> None:
    for table in tables:
        console.print(table)
    console.print(f"report: {run_dir / 'report.html'}", soft_wrap=True)


class _Measured(NamedTuple):
    """What is measured alike of a run and of a mean."""

    evaluation: Evaluation
    pictures: Mapping[str, Sequence[Picture]]
    """The images that the report shows, by heading."""
    closely: Sequence[Batch]
    """Examples whose cost per pixel the report shows."""
    predicted_per_second: float


def _measure(
    trained: Trained,
    data: Prepared,
    run_dir: AnyPath,
    decision: Decision | None,
    *,
    part: str,
    checkpoint: Choice,
) -> _Measured:
    """Evaluate a network on a part, and write all files of the evaluation but the report."""
    experiment, state = trained.experiment, trained.state
    examples, validation = data.parts[part], data.parts["validation"]
    canvas, validation_canvas = data.canvas(part), data.canvas("validation")
    # One classifier for both parts where their canvases are equal, because it takes seconds to compile.
    classifiers = {c: classifier(experiment, c) for c in {canvas, validation_canvas}}
    classify = classifiers[canvas]
    defects = data.classes[1:]
    automatic = automatic_rule(functools.partial(classifiers[validation_canvas], state, validation), defects)
    rules = [automatic] if decision is None else [automatic, decision.rule]

    most_probable, *decided = (BreakdownCounts(len(data.classes)) for _ in range(1 + len(rules)))
    scores, calibrations = [], []
    kept, label_maps = pictured(examples.present), {}
    for position, image in enumerate(classify(state, examples)):
        most_probable.add(image.classes, image.label, image.boundary)
        for counts, rule in zip(decided, rules, strict=True):
            counts.add(class_map(image.probabilities, rule), image.label, image.boundary)
        calibrations.append(calibration_sums(image.probabilities, image.label))
        scores.append(image.scores)
        if position in kept:
            label_maps[position] = png_bytes(image.classes)
    breakdowns = [
        DecidedBreakdown(**vars(counts.breakdown(examples.groups, data.classes)), **vars(rule))
        for counts, rule in zip(decided, rules, strict=True)
    ]
    evaluation = Evaluation(
        **vars(most_probable.breakdown(examples.groups, data.classes)),
        part=part,
        checkpoint=checkpoint,
        step=trained.step,
        image_level=image_level(np.stack(scores), examples.present, examples.groups, data.classes),
        decided=breakdowns[0],
        chosen=breakdowns[1] if decision else None,
        calibration=calibration(calibrations, defects),
    )
    counts = ImageCounts(
        examples.names(), examples.groups, data.classes, stack(most_probable.counts), stack(decided[0].counts)
    )
    # evaluation.json goes first and comes last, so that what an interruption leaves is of no evaluation.
    remove_evaluation(run_dir)
    for position, encoded in label_maps.items():
        write_label_map(run_dir, position, encoded)
    write_image_counts(run_dir, counts)
    write_json(run_dir / "evaluation.json", evaluation)

    ious = [image_iou(counts) for counts in most_probable.counts]
    shown = worst_and_best(ious)
    return _Measured(
        evaluation,
        {heading: _pictures(classify, state, examples, group, ious) for heading, group in shown.items()},
        [examples[i] for group in shown.values() for i in group[:_COST_PICTURES]],
        _predicted_per_second(classify, state, examples, experiment.config.batch_size),
    )


def _decision_of(trained: Trained, run_dir: AnyPath) -> Decision | None:
    """Return the decision of a person for this network; a warning and None if it is for another."""
    facts = trained.experiment.facts
    decision = read_decision(run_dir, facts)
    if decision is not None and (other := mismatch(decision, trained.step, facts)):
        console.print(
            f"warning: {run_dir / 'decision.json'}: {other}; measured with the automatic choice alone",
            soft_wrap=True,
        )
        return None
    return decision


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
