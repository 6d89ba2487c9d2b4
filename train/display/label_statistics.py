"""Label statistics as tables for the screen and as a picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from train.display.formatting import dimensions, figure, percent
from train.display.pictures import class_colors
from train.inspection.label_statistics import ClassStatistics, ClassWeighting, LabelStatistics
from train.inspection.muting import MUTED


def statistics_tables(statistics: LabelStatistics) -> list[Table]:
    """Return the tables of label statistics."""
    size = statistics.at_input_size.size
    suffix = f"of the training part at {'the size of the files' if size is None else dimensions(size)}"
    weightings = statistics.at_input_size.classes
    return [
        _classes_table(statistics),
        _components_table(statistics.classes),
        _table(
            f"mean class weight by beta, {suffix}",
            {name: _row(weighting.weight) for name, weighting in weightings.items()},
        ),
        _table(
            f"mean rescaled confusion mask by window, {suffix}",
            {name: _row(weighting.rescaled) for name, weighting in weightings.items()},
        ),
        _recommendations_table(statistics),
    ]


def draw_statistics(statistics: LabelStatistics) -> Figure:
    """Draw how rare each defect class is, how wide its components are, and the masks by window."""
    names = list(statistics.classes)[1:]
    colors = [tuple(color / 255) for color in class_colors(len(names) + 1)]
    canvas = Figure(figsize=(11, 3.4), layout="constrained", dpi=120)
    ratios, widths, masks = canvas.subplots(1, 3)
    classes = [statistics.classes[name] for name in names]
    weightings = [statistics.at_input_size.classes[name] for name in names]
    _draw_ratios(ratios, classes, colors)
    _draw_widths(widths, classes, colors)
    for axes in (ratios, widths):
        axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
        for label in axes.get_yticklabels():
            label.set_parse_math(False)  # a name may hold dollar signs
    _draw_masks(masks, weightings, colors)
    return canvas


def _classes_table(statistics: LabelStatistics) -> Table:
    images = sum(part.images for part in statistics.parts.values())
    parts = ", ".join(
        f"{part.images} {name} ({part.defective} defective)" for name, part in statistics.parts.items()
    )
    table = _table(
        f"{images} images: {parts}",
        {
            name: {
                "images": str(row.images),
                "% of images": percent(row.image_ratio, digits=3),
                "% of pixels": percent(row.pixel_ratio, digits=3),
                "% in its images": percent(row.mean_in_images, digits=3),
                "% on boundary": percent(row.boundary_fraction, digits=3),
            }
            for name, row in statistics.classes.items()
        },
    )
    sizes = statistics.sizes
    table.caption = (
        f"heights and widths from {dimensions(sizes.smallest)} to {dimensions(sizes.largest)}, "
        f"{sizes.distinct} different sizes; "
        f"{percent(statistics.boundary_fraction, digits=3)} % of all pixels on a boundary"
    )
    return table


def _components_table(classes: Mapping[str, ClassStatistics]) -> Table:
    def percentiles(values: Sequence[float]) -> str:
        return " / ".join(f"{value:.1f}".removesuffix(".0") for value in values)

    return _table(
        "connected defects, in pixels: 5th / 50th / 95th percentile",
        {
            name: {
                "number": str(row.components.number),
                "area": percentiles(row.components.area),
                "width": percentiles(row.components.width),
                "extent": percentiles(row.components.extent),
            }
            for name, row in classes.items()
            if row.components is not None
        },
    )


def _recommendations_table(statistics: LabelStatistics) -> Table:
    recommended = statistics.recommended
    table = Table(title="recommended")
    for column in ("option", "value"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason")
    for option, choice in vars(recommended).items():
        value = choice.value
        shown = "none" if value is None else dimensions(value) if isinstance(value, tuple) else str(value)
        table.add_row(option, shown, choice.reason)
    return table


def _table(title: str, rows: Mapping[str, Mapping[str, str]]) -> Table:
    """Return a table of classes; every row has the same columns."""
    table = Table(title=title)
    table.add_column("class", no_wrap=True)
    for column in next(iter(rows.values()), {}):
        table.add_column(column, justify="right")
    for name, values in rows.items():
        table.add_row(name, *values.values())
    return table


def _row(means: Mapping[str, float | None]) -> dict[str, str]:
    return {option: figure(mean, 2) for option, mean in means.items()}


def _draw_ratios(axes: Axes, classes: Sequence[ClassStatistics], colors: Sequence[tuple[float, ...]]) -> None:
    rows = np.arange(len(classes))
    axes.barh(rows - 0.2, [100 * row.image_ratio for row in classes], 0.38, color=colors, alpha=0.5)
    axes.barh(rows + 0.2, [100 * row.pixel_ratio for row in classes], 0.38, color=colors)
    axes.set(xscale="log", title="% of images (pale) and of pixels")


def _draw_widths(axes: Axes, classes: Sequence[ClassStatistics], colors: Sequence[tuple[float, ...]]) -> None:
    for k, (row, color) in enumerate(zip(classes, colors, strict=True)):
        if row.components is not None:
            low, middle, high = row.components.width
            axes.plot([low, high], [k, k], color=color, linewidth=3, solid_capstyle="butt")
            axes.plot([middle], [k], "o", color=color)
    axes.set(xscale="log", title="width in pixels: 5th, 50th, 95th percentile")


def _draw_masks(
    axes: Axes, weightings: Sequence[ClassWeighting], colors: Sequence[tuple[float, ...]]
) -> None:
    for weighting, color in zip(weightings, colors, strict=True):
        means = [np.nan if mean is None else mean for mean in weighting.rescaled.values()]
        axes.plot([int(window) for window in weighting.rescaled], means, "o-", color=color)
    axes.axhline(MUTED, color="gray", linewidth=0.8, linestyle="--")
    axes.set(xlabel="window", ylim=(min(0, axes.get_ylim()[0]), 1), title="rescaled confusion mask")
