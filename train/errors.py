"""The exceptions that end a command early, each with a one-line message."""

import contextlib
import difflib
import errno
import os
from collections.abc import Collection, Iterator

MAKE_ROOM = "make room, and the same command goes on from what is kept"
"""Remedy for a full disk in the middle of a run."""
ANOTHER_OUT = "make room, or give another --out"
"""Remedy for an output folder that cannot be written."""


class UserError(Exception):
    """An error in the configuration, the files or the machine that the user can fix.

    The message is one line: where, what is wrong, and the remedy. The command prints it and exits with 2.
    """

    def __init__(self, text: str):
        # A file name may hold a line break, or characters that no terminal prints.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class NonFinite(Exception):
    """A loss or gradient was not finite. The command prints the one-line message and exits with 1."""


class Interrupted(Exception):
    """SIGTERM was received and answered. The command prints the one-line message and exits with 143."""


def suggestion(name: str, names: Collection[str], otherwise: str) -> str:
    """Return "did you mean X?" for the closest name; if none is close, `otherwise` and all names."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"{otherwise} {', '.join(names) or 'none'}"


@contextlib.contextmanager
def writing(path: str, remedy: str) -> Iterator[None]:
    """Turn an error over a file that cannot be written into a UserError.

    Every OSError in the context is taken to come from writing, so code that reads must raise UserErrors.

    Args:
        path: named in the message.
        remedy: ends the message.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # array_record, tensorstore and orbax have their own errors for a full disk
        if obstacle := _obstacle(error):
            raise UserError(f"{path}: cannot be written ({obstacle}); {remedy}") from error
        raise


def _obstacle(error: BaseException) -> str | None:
    """Return the system's message where an error, or the one it followed from, comes from writing."""
    if isinstance(error, OSError):
        return error.strerror or str(error)  # some libraries raise it with a text alone
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG):
        if os.strerror(number) in str(error):
            return os.strerror(number)
    return _obstacle(error.__context__) if error.__context__ else None
