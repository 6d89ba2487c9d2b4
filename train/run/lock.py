"""A lock that keeps other processes out of a directory."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator

from train.paths import AnyPath

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(directory: AnyPath, *, wait: bool) -> Iterator[None]:
    """Make a directory and lock it; the system releases the lock of a process that dies.

    Where the file system has no locks, as in most mounted buckets, a warning is logged and nothing is locked.

    Args:
        directory: to lock.
        wait: for a process that holds the lock.

    Raises:
        BlockingIOError: another process holds the lock, and `wait` is false.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            _logger.warning(
                "note: %s: cannot be locked (%s); keep other processes away", directory, error.strerror
            )
        yield


def is_locked(directory: AnyPath) -> bool:
    """Return whether another process has locked a directory."""
    try:
        with locked(directory, wait=False):
            return False
    except BlockingIOError:
        return True
