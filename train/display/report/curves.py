"""The charts of a report: figures and shares of the loss over the epochs of a run."""

import itertools
from collections.abc import Callable, Sequence

from train.display.pages.charts import DASHES, INK, Chart, Line, draw_chart
from train.measures.figures import defect_means
from train.measures.loss_share_records import GroupShares
from train.measures.records import ClassFigures, EpochRecord

_SOLID = ""


def learning_curves(epochs: Sequence[EpochRecord], colors: Sequence[str]) -> list[Chart]:
    """Draw the loss, figures of the validation part and the learning rate over the epochs.

    Args:
        epochs: none gives no chart.
        colors: of the defect classes.
    """
    if not epochs:
        return []
    metrics: dict[str, Callable[[ClassFigures], float | None]] = {
        "IoU": lambda figures: figures.iou.dataset,
        "Precision": lambda figures: figures.precision,
        "Recall": lambda figures: figures.recall,
    }
    return [
        _over_epochs("Training loss", epochs, _loss_lines(epochs)),
        *(
            _over_epochs(f"{name} on the validation part", epochs, _metric_lines(epochs, colors, metric), 1)
            for name, metric in metrics.items()
        ),
        _over_epochs("Learning rate", epochs, [Line("", [epoch.learning_rate for epoch in epochs])]),
    ]


def loss_share_curves(epochs: Sequence[EpochRecord], colors: Sequence[str]) -> list[Chart]:
    """Draw the shares of the loss on the validation part, and the mean masks, over the epochs.

    Args:
        epochs: none gives no chart.
        colors: of the defect classes.
    """
    if not epochs:
        return []
    shares = [epoch.loss_shares for epoch in epochs]
    classes = dict(zip(shares[-1].classes, (INK, *colors), strict=True))

    def by_error(share: Callable[[GroupShares], float | None]) -> list[Line]:
        return [
            Line(name, [share(s.error[name]) for s in shares], dash=dash)
            for name, dash in zip(shares[-1].error, (_SOLID, *DASHES), strict=False)
        ]

    def by_class(share: Callable[[GroupShares], float | None]) -> list[Line]:
        lines = [
            Line(name, [share(s.classes[name]) for s in shares], color) for name, color in classes.items()
        ]
        boundary = [share(s.boundary["boundary"]) for s in shares]
        return [*lines, Line("boundary", boundary, dash=DASHES[0])]

    def masks(term: str) -> list[Line]:
        return [Line(name, [s.mask[term][name] for s in shares], color) for name, color in classes.items()]

    return [
        *_histograms(epochs),
        _over_epochs("Share of the pixels, by error", epochs, by_error(lambda group: group.pixels), 1),
        _over_epochs("Share of the loss, by error", epochs, by_error(lambda group: group.loss), 1),
        _over_epochs("Share of the loss, by class", epochs, by_class(lambda group: group.loss), 1),
        _over_epochs("Share of the gradient, by class", epochs, by_class(lambda group: group.gradient), 1),
        *(_over_epochs(f"Mean mask by class ({term})", epochs, masks(term)) for term in shares[-1].mask),
    ]


def _histograms(epochs: Sequence[EpochRecord]) -> list[Chart]:
    """Draw the loss over the error at the first, middle and last epoch, and cumulative shares at the last."""
    last = epochs[-1]
    moments = dict.fromkeys([0, (len(epochs) - 1) // 2, len(epochs) - 1])
    dashes = (_SOLID, DASHES[0], DASHES[1])[: len(moments)][::-1]
    histogram = last.loss_shares.histogram
    ranges = len(histogram.loss)
    upper_ends = [(i + 1) / ranges for i in range(ranges)]
    by_epoch = [
        Line(f"epoch {epochs[i].epoch}", epochs[i].loss_shares.histogram.loss, dash=dash)
        for i, dash in zip(moments, dashes, strict=True)
    ]
    cumulative = [
        Line("pixels", _cumulative(histogram.pixels), dash=DASHES[1]),
        Line("loss", _cumulative(histogram.loss)),
        Line("gradient", _cumulative(histogram.gradient), dash=DASHES[0]),
    ]
    return [
        draw_chart("Share of the loss, over the error", "error", upper_ends, by_epoch),
        draw_chart(
            f"Cumulative shares over the error, epoch {last.epoch}", "error", upper_ends, cumulative, top=1
        ),
    ]


def _loss_lines(epochs: Sequence[EpochRecord]) -> list[Line]:
    names = list(epochs[-1].terms)
    losses = [epoch.loss for epoch in epochs]
    if len(names) == 1:
        return [Line(names[0], losses)]
    terms = [
        Line(name, [epoch.terms[name] for epoch in epochs], dash=dash)
        for name, dash in zip(names, itertools.cycle(DASHES), strict=False)
    ]
    return [Line("sum", losses), *terms]


def _metric_lines(
    epochs: Sequence[EpochRecord],
    colors: Sequence[str],
    metric: Callable[[ClassFigures], float | None],
) -> list[Line]:
    validations = [epoch.validation for epoch in epochs]
    defects = list(validations[-1].classes)[1:]
    lines = [
        Line(name, [metric(validation.classes[name]) for validation in validations], color)
        for name, color in zip(defects, colors, strict=True)
    ]
    if len(defects) == 1:
        return lines
    means = [metric(defect_means(validation)) for validation in validations]
    return [*lines, Line("mean", means, dash=DASHES[0])]


def _over_epochs(
    title: str, epochs: Sequence[EpochRecord], lines: Sequence[Line], top: float | None = None
) -> Chart:
    return draw_chart(title, "epoch", [epoch.epoch for epoch in epochs], lines, top=top)


def _cumulative(values: Sequence[float | None]) -> list[float | None]:
    """Return the cumulative sums, None from the first None on."""
    return list(itertools.accumulate(values, lambda a, b: None if a is None or b is None else a + b))
