"""Tables for the screen, at most eighty columns wide: an evaluation, and classes that a mask mutes."""

from collections.abc import Iterable, Mapping

from rich import box
from rich.table import Table

from train.display.breakdown_rows import component_rows, confusion_rows
from train.display.formatting import figure, interval, percent, significant
from train.inspection.muting import Muting
from train.measures.records import Breakdown, Calibration, DecidedBreakdown, Evaluation
from train.run.decision import Decision


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """Return the tables of an evaluation; the breakdowns are those of the most probable classes."""
    return [
        _figures_table(evaluation),
        _decided_table(evaluation.decided, "chosen on the validation part"),
        *([_decided_table(evaluation.chosen, "chosen by a person")] if evaluation.chosen else []),
        *([_calibration_table(evaluation.calibration)] if evaluation.calibration else []),
        _image_level_table(evaluation),
        _boundary_table(evaluation),
        _components_table(evaluation),
        _confusion_table(evaluation),
    ]


def decision_table(decision: Decision) -> Table:
    """Return the table of a person's decision and its figures on the validation part."""
    rule, figures = decision.rule, decision.figures
    caption = [
        f"mean data-set IoU of the defect classes {figure(figures.headline)}",
        f"{figures.wrongly_passed} of {figures.defective} images with a defect wrongly passed",
        f"{figures.wrongly_scrapped} of {figures.clean} images without a defect wrongly scrapped",
    ]
    if decision.costs is not None:
        total = decision.costs.total(figures.wrongly_passed, figures.wrongly_scrapped)
        caption.append(
            f"cost {total:g}: {decision.costs.miss:g} an image wrongly passed, "
            f"{decision.costs.false_alarm:g} one wrongly scrapped"
        )
    table = _table(
        "validation part, thresholds and minimum areas chosen by a person",
        ["threshold", "area", "IoU", "precision", "recall", "defects\nfound", "false\nalarms"],
        "\n".join(caption),
    )
    for name, row in figures.classes.items():
        table.add_row(
            name,
            figure(rule.thresholds[name]),
            str(rule.minimum_areas[name]),
            *map(figure, (row.iou, row.precision, row.recall)),
            f"{row.found} of {row.found + row.missed}",
            str(row.false_alarms),
        )
    return table


def members_table(members: Mapping[str, Evaluation | None], mean: Evaluation) -> Table:
    """Return the table of the IoU of each run of a mean, where it is known, and of the mean."""
    table = Table(
        box=box.SIMPLE,
        title="mean data-set IoU of the defect classes",
        caption=None if all(members.values()) else "a dash: evaluate the run on this part for its figures",
    )
    table.add_column("run", overflow="fold")
    for column in ("most probable class", "with thresholds"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, each in {**members, "mean of the runs": mean}.items():
        ious = (each.headline, each.decided.headline) if each else (None, None)
        table.add_row(name, *map(figure, ious))
    return table


def muting_table(muting: Muting) -> Table:
    """Return the table of the training labels under the confusion mask, or of their frequency alone."""
    masked = muting.window is not None
    title = f"training labels, {muting.images} images"
    if masked:
        title += f", confusion mask of window {muting.window}"
    columns = ["images", "% of pixels", *(["mask", "rescaled"] if masked else [])]
    caption = "rescaled: 1 far from other classes, 0 where two classes mix evenly" if masked else None
    table = _table(title, columns, caption)
    for name, row in muting.classes.items():
        masks = (row.mask, row.rescaled_mask) if masked else ()
        fraction = percent(row.pixel_fraction, digits=3)
        table.add_row(name, str(row.images), fraction, *(figure(mask, 2) for mask in masks))
    return table


def _figures_table(evaluation: Evaluation) -> Table:
    table = _table(
        f"{evaluation.part} part, {evaluation.images} images",
        ["IoU\ndataset", "IoU\npresent", "IoU\nunion", "IoU\nall", "Dice", "precision", "recall"],
        f"{_headline(evaluation)}\nwith background {figure(evaluation.mean_with_background)}",
    )
    for name, row in evaluation.classes.items():
        ious = (row.iou.dataset, row.iou.present, row.iou.union, row.iou.all)
        table.add_row(name, *map(figure, (*ious, row.dice, row.precision, row.recall)))
    return table


def _decided_table(decided: DecidedBreakdown, origin: str) -> Table:
    table = _table(
        f"with thresholds and minimum areas {origin}",
        ["threshold", "area", "IoU", "95 %", "Dice", "precision", "recall"],
        _headline(decided),
    )
    for name, threshold in decided.thresholds.items():
        row = decided.classes[name]
        table.add_row(
            name,
            figure(threshold),
            str(decided.minimum_areas[name]),
            figure(row.iou.dataset),
            interval(decided.intervals.classes[name]),
            *map(figure, (row.dice, row.precision, row.recall)),
        )
    return table


def _calibration_table(calibration: Mapping[str, Calibration]) -> Table:
    table = _table(
        "probability of a class against the fraction of pixels labeled so (calibration)",
        ["expected error", "average error"],
        "expected: mean over the pixels; average: mean over ranges of the probability",
    )
    for name, row in calibration.items():
        table.add_row(name, significant(row.expected_error, 2), figure(row.average_error))
    return table


def _image_level_table(evaluation: Evaluation) -> Table:
    table = _table(
        "images ranked by the highest probability of the defect at any pixel",
        ["images", "positive", "average precision", "95 %"],
        "positive: images that show the defect",
    )
    image_level = evaluation.image_level
    for name, row in {"any defect": image_level.any_defect, **image_level.classes}.items():
        table.add_row(
            name,
            str(image_level.images),
            str(row.positive),
            figure(row.average_precision),
            interval(row.interval),
        )
    return table


def _boundary_table(evaluation: Evaluation) -> Table:
    table = _table(
        "pixels that touch another class (boundary), and the other pixels (inside)",
        ["IoU 95 %", "% on\nboundary", "recall on\nboundary", "recall\ninside", "% of FP on\nboundary"],
        "FP: false positives, pixels wrongly predicted as the class",
    )
    for name, row in evaluation.boundary.items():
        table.add_row(
            name,
            interval(evaluation.intervals.classes[name]),
            percent(row.fraction),
            figure(row.recall),
            figure(row.recall_inside),
            percent(row.false_positives),
        )
    return table


def _components_table(evaluation: Evaluation) -> Table:
    table = _table(
        "connected defects",
        ["pixels", "labeled", "touched", "half found", "false alarms"],
        "touched, half found: by pixels predicted as the class\n"
        "false alarms: predicted, touch no pixel labeled as the class",
    )
    for name, ranges in component_rows(evaluation).items():
        for area, counts in ranges.items():
            row = (counts.labeled, counts.touched, counts.half, counts.false_alarms)
            table.add_row(name, area, *map(str, row))
    return table


def _confusion_table(evaluation: Evaluation) -> Table:
    table = _table("% of the pixels of a class (row) that are predicted as each class", evaluation.classes)
    for name, fractions in confusion_rows(evaluation).items():
        table.add_row(name, *map(percent, fractions))
    return table


def _table(title: str, columns: Iterable[str], caption: str | None = None) -> Table:
    """Return an empty table with a row for each class."""
    table = Table(box=box.SIMPLE, title=title, caption=caption)
    table.add_column("class", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _headline(breakdown: Breakdown) -> str:
    text = f"mean data-set IoU of the defect classes {figure(breakdown.headline)}"
    if breakdown.intervals.headline is None:
        return text
    return f"{text} (95 % {interval(breakdown.intervals.headline)}, {breakdown.intervals.groups} groups)"
