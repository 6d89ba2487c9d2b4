"""The ways in which a command ends early, each with one line for a person."""

import contextlib
import errno
import os
from collections.abc import Iterator

MAKE_ROOM = "make room, and the same command goes on from what is kept"
"""What to do about a full disk in the middle of a run."""
ANOTHER_OUT = "make room, or give another --out"
"""What to do about a folder that the person has chosen."""


class UserError(Exception):
    """Something in the configuration, the files or the machine that the user can mend.

    Its text is one line: what is wrong, where, and what to do. The command prints it and exits with 2.
    """

    def __init__(self, text: str):
        # A name from a file may hold a line break, or what no terminal prints.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


@contextlib.contextmanager
def writing(what: str, remedy: str) -> Iterator[None]:
    """Turns an error over a file that cannot be written into a UserError.

    For work that does not read, or whose reading raises UserErrors: an OSError is taken to come from writing.

    Args:
        what: cannot be written.
        remedy: what to do about it.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # array_record, tensorstore and orbax have errors of their own for a full disk
        if obstacle := _obstacle(error):
            raise UserError(f"{what}: cannot be written ({obstacle}); {remedy}") from error
        raise


def _obstacle(error: BaseException) -> str | None:
    """What the system said where an error, or the one it followed from, comes from writing."""
    if isinstance(error, OSError):
        return error.strerror
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG):
        if os.strerror(number) in str(error):
            return os.strerror(number)
    return _obstacle(error.__context__) if error.__context__ else None


class NotFinite(Exception):
    """A loss or gradient was not finite. Its text is one line; the command prints it and exits with 1."""


class Stopped(Exception):
    """The run was asked to stop, and did. Its text is one line; the command prints it and exits with 143."""
