"""What a person sees while a command runs."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger("train")
log.setLevel(logging.INFO)
log.propagate = False  # some libraries give the root logger a handler, and each line would come twice
timed = logging.Formatter("%(asctime)s %(message)s")


@contextlib.contextmanager
def logged(handler: logging.Handler) -> Iterator[None]:
    """Hands what is said to a handler for the time of the context."""
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def quietly(console: Console, *, plain: bool) -> Iterator[None]:
    """Keeps a console still for the time of the context.

    Args:
        console: of progress lines, tables and what is said.
        plain: whether what is said is printed all the same, as lines with the time.
    """
    lines = logging.StreamHandler(sys.stdout) if plain else logging.NullHandler()
    lines.setFormatter(timed)
    console.quiet = True
    try:
        with logged(lines):
            yield
    finally:
        console.quiet = False


def progress_line(console: Console) -> Progress:
    """One line that says how far a run is, how well it does and how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
