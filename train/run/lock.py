"""One process at a time in a directory."""

import contextlib
import fcntl
from collections.abc import Iterator

from train.paths import Place
from train.run.log import log


@contextlib.contextmanager
def locked(directory: Place, *, wait: bool) -> Iterator[None]:
    """Makes a directory and keeps others out of it; the system opens the lock of a process that dies.

    Where the file system knows no locks, as in most mounted buckets, this is said, and nobody is kept out.

    Args:
        directory: whose.
        wait: for a process that is at work there.

    Raises:
        BlockingIOError: another process is at work there, and it is not waited for.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            log.warning(
                "note: %s: cannot be locked (%s); keep other processes away", directory, error.strerror
            )
        yield
