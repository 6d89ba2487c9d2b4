"""The tables of `compiled.md`, made from the figures of all programs, and the targets that they miss."""

from collections.abc import Iterable, Iterator

from tests.benchmarks.compiled.figures import Figure
from tests.benchmarks.compiled.targets import TARGETS, Name

OF_OPTAX: dict[Name, float] = {"tpu": 0.1, "gpu": 0.5}
"""Largest share of the bytes of optax's cross-entropy, for a loss of one label per pixel."""
OF_SLICES = 1.1
"""Largest share of the bytes of slices added up, for the confusion mask."""
OF_STEP = 0.05
"""Largest share of the bytes of the U-Net's training step, for the augmentation."""
OF_FLOAT32 = 0.6
"""Largest share of the bytes of a step in float32, for the same step in bfloat16."""
MAX_SECONDS = {21: 10, 200: 60}
"""Longest processor time to compile, by the largest number of classes that it holds for."""


class Table:
    """The figures of one target, by row and side."""

    def __init__(self, figures: Iterable[Figure], target: Name):
        self.figures = {
            (f.what, f.name, f.classes, f.dtype, f.side): f for f in figures if f.target == target
        }
        self.target: Name = target

    def of(self, what: str, name: str, classes: int | None, dtype: str, side: str) -> Figure | None:
        """Return the figures of a program, None where there are none."""
        figure = self.figures.get((what, name, classes, dtype, side))
        return None if figure is None or figure.refusal else figure

    def library(self, *what: str) -> list[Figure]:
        """Return the figures of the library's own programs."""
        return [f for f in self.figures.values() if f.what in what and f.side == "library"]


def markdown(figures: list[Figure]) -> Iterator[str]:
    """Yield the lines of all tables."""
    for target, chip in TARGETS.items():
        table = Table(figures, target)
        counted = f"Bytes are counted {chip.counted}; compare them with those of no other chip."
        sections = {
            "losses, masks, metrics and augmentation": (moved(table), counted),
            "steps of the networks": (steps(table), counted),
            "seconds to compile": (seconds(table), "Processor time, of the library; logits in float32."),
        }
        for title, (lines, remark) in sections.items():
            if shown := list(lines):
                yield from ("", f"## {chip.title}: {title}", "", remark, "", *shown)


def moved(table: Table) -> Iterator[str]:
    """Yield the table of what losses, masks, metrics and the augmentation move."""
    rows = table.library("losses", "masks", "metrics", "augmentation")
    if not rows:
        return
    titles = "what, C, type, MiB, kernels, temporary MiB, ms, plain MiB, plain temporary, of plain, of optax"
    yield head(f"{titles}, loops, missed")
    for figure in rows:
        key = figure.what, figure.name, figure.classes, figure.dtype
        plain, optax = table.of(*key, "plain"), table.of(*key, "optax")
        yield row(
            figure.name,
            figure.classes or "",
            figure.dtype,
            mebibytes(figure.bytes),
            figure.kernels,
            mebibytes(figure.temporary),
            f"{1e3 * figure.roofline_time:.2f}",
            mebibytes(plain.bytes) if plain else "",
            mebibytes(plain.temporary) if plain else "",
            f"{figure.bytes / plain.bytes:.2f}" if plain else "",
            f"{figure.bytes / optax.bytes:.2f}" if optax else "",
            loops(figure, plain, optax),
            ", ".join(missed(figure, table)),
        )


def missed(figure: Figure, table: Table) -> Iterator[str]:
    """Yield the targets that a row misses."""
    if figure.refusal:
        yield figure.refusal
        return
    key = figure.what, figure.name, figure.classes, figure.dtype
    plain, optax = table.of(*key, "plain"), table.of(*key, "optax")
    if plain and figure.what == "losses":
        yield from above(figure.bytes, 1.0, plain.bytes, "bytes of plain")
        yield from above(figure.temporary, 1.0, plain.temporary, "temporary of plain")
    if plain and figure.name == "confusion_mask":
        yield from above(figure.bytes, OF_SLICES, plain.bytes, "slices")
    # A loss of flags has no integer labels, and optax's Dice losses are no cross-entropy.
    if optax and figure.name.startswith("softmax"):
        yield from above(figure.bytes, OF_OPTAX[table.target], optax.bytes, "optax")
    if figure.name == "balanced_loss":
        parts = (
            table.of("losses", "softmax_truncated_cross_entropy", figure.classes, figure.dtype, "library"),
            table.of("masks", "balance_mask", figure.classes, "", "library"),
        )
        if parts[0] and parts[1]:
            yield from above(figure.bytes, 1.0, parts[0].bytes + parts[1].bytes, "its parts")
    step = table.of("steps", "UNet, training step", 5, "float32", "library")
    if step and figure.what == "augmentation":
        yield from above(figure.bytes, OF_STEP, step.bytes, "of the U-Net's step")


def above(value: float, share: float, reference: float, name: str) -> Iterator[str]:
    """Yield a missed target: a value above a share of a reference, to two digits."""
    ratio = value / reference if reference else (0.0 if value == 0 else float("inf"))
    if round(ratio, 2) > share:
        yield f"{name}: {ratio:.2f} > {share:g}"


def loops(*figures: Figure | None) -> str:
    """Return how often loops run and how many sorts there are, for each program of a row that has any."""
    remarks = []
    for figure in figures:
        if figure and (figure.loops or figure.sorts):
            turns = [f"loop x{'?' if loop is None else loop}" for loop in figure.loops]
            sorts = [f"{figure.sorts} sort{'s' if figure.sorts > 1 else ''}"] if figure.sorts else []
            remarks.append(f"{figure.side}: {', '.join(turns + sorts)}")
    return "; ".join(remarks)


def steps(table: Table) -> Iterator[str]:
    """Yield the table of the steps."""
    rows = table.library("steps")
    if not rows:
        return
    titles = "step, type, GiB, of float32, kernels, temporary GiB, donated GiB, TFLOP, ms, ms of products"
    yield head(f"{titles}, products' share, processor s to compile, loops, missed")
    for figure in rows:
        whole = table.of("steps", figure.name, figure.classes, "float32", "library")
        halved = figure.dtype == "bfloat16" and whole is not None
        products, whole_bytes = figure.product_time, whole.bytes if whole else 0
        failed = above(figure.bytes, OF_FLOAT32, whole_bytes, "of float32") if halved else ()
        yield row(
            figure.name,
            figure.dtype,
            f"{figure.bytes / 2**30:.2f}",
            f"{figure.bytes / whole_bytes:.2f}" if halved else "",
            figure.kernels,
            f"{figure.temporary / 2**30:.2f}",
            f"{figure.donated / 2**30:.2f}",
            f"{sum(figure.operations.values()) / 1e12:.2f}",
            f"{1e3 * figure.roofline_time:.1f}",
            f"{1e3 * products:.1f}",
            f"{products / (figure.roofline_time or 1):.2f}",
            f"{figure.seconds:.0f}",
            loops(figure),
            figure.refusal or ", ".join(failed),
        )


def seconds(table: Table) -> Iterator[str]:
    """Yield the table of the processor time to compile each loss, by number of classes."""
    rows = table.library("seconds")
    if not rows:
        return
    classes = sorted({f.classes or 0 for f in rows})
    yield head(", ".join(["loss", *(f"C = {c}" for c in classes), "missed"]))
    for name in dict.fromkeys(f.name for f in rows):
        figures = [table.of("seconds", name, c, "float32", "library") for c in classes]
        late = [f"C = {f.classes}" for f in figures if f and is_late(f)]
        yield row(name, *(f"{f.seconds:.1f}" if f else "refused" for f in figures), ", ".join(late))


def is_late(figure: Figure) -> bool:
    """Return whether a program takes longer to compile than programs of so many classes may."""
    limits = [limit for most, limit in MAX_SECONDS.items() if (figure.classes or 0) <= most]
    return bool(limits) and figure.seconds > limits[0]


def mebibytes(size: int) -> str:
    """Return a size in MiB, with a digit behind the point where it is small."""
    return f"{size / 2**20:.{1 if 0 < size < 10 * 2**20 else 0}f}"


def head(titles: str) -> str:
    """Return the first two lines of a table."""
    names = titles.split(", ")
    return f"{row(*names)}\n{'|---' * len(names)}|"


def row(*cells: object) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"
