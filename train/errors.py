"""The ways in which a command ends early, each with one line for a person."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """Something in the configuration, the files or the machine that the user can mend.

    Its text is one line: what is wrong, where, and what to do. The command prints it and exits with 2.
    """

    def __init__(self, text: str):
        # A name from a file may hold a line break, or what no terminal prints.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class NotFinite(Exception):
    """A loss or gradient was not finite. Its text is one line; the command prints it and exits with 1."""


class Stopped(Exception):
    """The run was asked to stop, and did. Its text is one line; the command prints it and exits with 143."""


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turns what the system says against writing into a folder that the user chose into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); give another --out") from error
