"""The result of a comparison in words."""

from collections import Counter

from train.comparison.records import OBJECTIVE, ComparisonRecord, Repetition, Row, Spread
from train.display.comparison.axes import DECIDED, MOST_PROBABLE, figures, reference_row
from train.display.comparison.cells import short_commit
from train.display.formatting import figure, signed, signed_interval
from train.measures.records import Interval

_QUOTED = "\N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK}"
_STATES = ("done", "failed", "running", "open")


def best_row(record: ComparisonRecord, rule: str) -> Row | None:
    """Return the row with the highest mean data-set IoU under a decision rule; None where no row has one."""
    means = {row.name: figures(row)[rule].iou.mean for row in record.rows}
    rows = [row for row in record.rows if means[row.name] is not None]
    return max(rows, key=lambda row: means[row.name] or 0.0) if rows else None


def result(record: ComparisonRecord) -> list[str]:
    """Return sentences: the row with the highest mean data-set IoU, and how far the figure can be trusted."""
    best = {rule: row for rule in (MOST_PROBABLE, DECIDED) if (row := best_row(record, rule)) is not None}
    if not best:
        return ["No row has a figure yet."]
    claims = [_claim(record, row, rule) for rule, row in best.items()]
    names = [_QUOTED.format(row.name) for row in best.values()]
    metric = f"{_metric(record)} on the {record.part} part"
    if len(record.rows) == 1:
        sentence = f"{names[0]} has a {metric} of {' and of '.join(claims)}."
    elif len(set(names)) == 1:
        sentence = f"{names[0]} has the highest {metric}: {' and '.join(claims)}."
    else:
        rows = zip(names, claims, strict=True)
        sentence = f"The highest {metric}: {'; '.join(f'{name} with {claim}' for name, claim in rows)}."
    return [sentence, *_reservations(best)]


def progress(record: ComparisonRecord) -> str:
    """Return the number of cells in each state."""
    counts = Counter(cell.state for cell in record.cells)
    others = "".join(f", {counts[state]} {state}" for state in _STATES[1:] if counts[state])
    return f"{counts['done']} of {len(record.cells)} cells done{others}"


def remarks(record: ComparisonRecord) -> list[str]:
    """Return sentences on counted class weights that are all 1, and on cells of several commits."""
    equal = {
        cell.levels[OBJECTIVE]
        for cell in record.cells
        if OBJECTIVE in cell.levels and any(set(numbers) == {1.0} for numbers in cell.class_weights.values())
    }
    return [
        f"{_QUOTED.format(name)} weighs every class 1: at least half of the training images show each defect "
        "class, and then the ratio of the images without a class to those with it is no weight."
        for name in sorted(equal)
    ] + _commits(record)


def _commits(record: ComparisonRecord) -> list[str]:
    """Return sentences on the comparability of finished cells of several commits; none for one commit."""
    counts = Counter(short_commit(cell.commit) for cell in record.cells if cell.state == "done")
    if len(counts) < 2:
        return []
    commits = ", ".join(f"{commit} ({number})" for commit, number in counts.items())
    reference = [cell for cell in record.cells if cell.levels == cell.levels | record.reference]
    known = [*reference[:1], *(repetition.cell for repetition in record.repetitions)]
    sentences = [f"The cells are of {len(counts)} commits: {commits}.", *map(_repetition, record.repetitions)]
    if missing := counts.keys() - {short_commit(cell.commit) for cell in known}:
        sentences.append(
            f"Whether cells of {', '.join(sorted(missing))} can be compared with the others was not tried: "
            "--repeat trains the first cell of the reference again."
        )
    return sentences


def _repetition(repetition: Repetition) -> str:
    name, commit = _QUOTED.format(repetition.repeats), short_commit(repetition.cell.commit)
    again = f"{name}, trained again at {commit},"
    if repetition.equal:
        return f"{again} has an equal evaluation."
    text = f"{again} has an IoU of {figure(repetition.cell.iou)} instead of {figure(repetition.first)}"
    if repetition.between_seeds is None:
        return f"{text}; how far its seeds differ is not known, since one is finished."
    return f"{text}; its seeds differ by up to {figure(repetition.between_seeds)}."


def spread(value: Spread) -> str:
    """Format a mean and, of two seeds or more, its deviation."""
    deviation = "" if value.deviation is None else f" \N{PLUS-MINUS SIGN} {figure(value.deviation)}"
    return f"{figure(value.mean)}{deviation}"


def _metric(record: ComparisonRecord) -> str:
    defects = record.classes[1:]
    if len(defects) == 1:
        return f"data-set IoU of {defects[0]}"
    return f"mean data-set IoU of the {len(defects)} defect classes"


def _claim(record: ComparisonRecord, row: Row, rule: str) -> str:
    """Return the figure of a row under a decision rule, and its difference to the reference."""
    row_figures = figures(row)[rule]
    iou = spread(row_figures.iou).replace(" ", "\N{NO-BREAK SPACE}")
    text = f"{iou} under {rule}"
    reference = reference_row(record, row)
    if reference is row and len(record.rows) > 1:
        return f"{text} (the reference itself)"
    difference = row_figures.difference
    if reference is None or difference is None or difference.mean is None:
        return text
    text += f" ({signed(difference.mean)} against {_QUOTED.format(reference.name)}"
    if difference.interval is None:
        return f"{text})"
    return f"{text}, 95 % interval {signed_interval(difference.interval)})"


def _reservations(best: dict[str, Row]) -> list[str]:
    differences = {rule: figures(row)[rule].difference for rule, row in best.items()}
    intervals = {
        rule: difference.interval for rule, difference in differences.items() if difference is not None
    }
    uncertain = [rule for rule, ends in intervals.items() if ends is not None and _includes_zero(ends)]
    sentences = []
    if uncertain:
        where = "" if len(uncertain) == len(best) else f" under {uncertain[0]}"
        sentences.append(f"The interval includes 0{where}: the difference may be chance.")
    seeds = [len(row.seeds) for row in best.values()]
    seeds += [difference.seeds for difference in differences.values() if difference is not None]
    if min(seeds) < 2:
        sentences.append("With one seed, how far the figures vary between trainings is not known.")
    return sentences


def _includes_zero(ends: Interval) -> bool:
    """Return whether an interval includes 0 at the decimal places that are shown."""
    low, high = (round(end, 3) for end in ends)
    return low <= 0 <= high
