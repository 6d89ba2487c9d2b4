"""What a command prints: log lines, tables and progress, on one console."""

import codecs
import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track

from train.errors import UserError
from train.paths import AnyPath


def plain_console(**options: Any) -> Console:
    """Return a console that prints texts as they are: names of files and classes may look like markup."""
    return Console(markup=False, emoji=False, **options)


console = plain_console()
"""The console that all commands print on; `quiet` silences it."""

log = logging.getLogger("train")
log.setLevel(logging.INFO)
log.propagate = False  # some libraries give the root logger a handler, which would print each line again
_with_time = logging.Formatter("%(asctime)s %(message)s")


_HYPHENS = str.maketrans("\N{EN DASH}\N{MINUS SIGN}", "--")


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return what replaces characters that cannot be encoded: hyphens for dashes, else escape sequences."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_HYPHENS)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error("train.escape", _escape)


class _Stdout:
    """A stream that ends the command, by SystemExit, where it cannot be written.

    Other exceptions would be caught by logging and rich, which print tracebacks or have exit codes of their
    own.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._ending():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._ending():
            self._stream.flush()

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is left in the buffer is written as the interpreter exits, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if isinstance(error, BrokenPipeError):
                raise SystemExit(128 + signal.SIGPIPE) from None
            remedy = "make room, or send it elsewhere"
            with contextlib.suppress(OSError):
                print(f"error: stdout: cannot be written ({error.strerror}); {remedy}", file=sys.stderr)
            raise SystemExit(2) from None


@contextlib.contextmanager
def guarded_stdout() -> Iterator[None]:
    """Print on any stdout for the duration of the context, and flush at its end.

    Characters that its encoding lacks are replaced, as on stderr by default: stdout may be ASCII, and a file
    name may hold bytes that are no text.

    Raises:
        SystemExit: stdout cannot be written. The code is 2, with a line on stderr; or as of SIGPIPE, without,
            if it is a pipe that nobody reads any more.
    """
    if sys.stdout is None:  # closed by the parent process
        yield
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="train.escape")
    guarded: Any = _Stdout(sys.stdout)
    with contextlib.redirect_stdout(guarded):
        try:
            yield
        finally:
            guarded.flush()


@contextlib.contextmanager
def log_to(handler: logging.Handler) -> Iterator[None]:
    """Send log lines to a handler for the duration of the context."""
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def console_handler() -> logging.Handler:
    """Return a handler that prints log lines on the console."""
    return RichHandler(console=console, show_time=False, show_level=False, show_path=False)


@contextlib.contextmanager
def quiet(*, log_lines: bool) -> Iterator[None]:
    """Print no progress lines and tables for the duration of the context.

    Args:
        log_lines: whether log lines are printed all the same, with the time.
    """
    handler = logging.StreamHandler(sys.stdout) if log_lines else logging.NullHandler()
    handler.setFormatter(_with_time)
    console.quiet = True
    try:
        with log_to(handler):
            yield
    finally:
        console.quiet = False


def progress_line() -> Progress:
    """Return a progress line of a training run: steps done, a note, time remaining."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def progress(items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
    """Iterate over items; on a terminal, with a progress line that vanishes at the end."""
    hidden = console.quiet or not console.is_terminal  # rich would print an empty line into a file
    return iter(track(items, description, total=total, console=console, transient=True, disable=hidden))


class LogFile(logging.Handler):
    """Appends log lines, with the time, to a file."""

    def __init__(self, path: AnyPath):
        super().__init__()
        self.setFormatter(_with_time)
        self._path = path
        self._text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write all of the file anew: in a bucket nothing can be appended to."""
        from train.run.files import write_text  # imports JAX, which reading prepared data does without

        self._text += f"{self.format(record)}\n"
        with contextlib.suppress(UserError):  # a full disk stops the run at the next checkpoint, in one line
            write_text(self._path, self._text)
