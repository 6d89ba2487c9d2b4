"""Paths on a disk, and addresses in a bucket."""

import os
from pathlib import Path

from etils import epath

from train.errors import UserError

AnyPath = Path | epath.Path
"""A path on a disk, or an address in a bucket, such as gs://bucket/folder."""


def absolute(path: AnyPath) -> AnyPath:
    """Return an absolute path; an address in a bucket stays, because `absolute()` would make it a path."""
    return path if "://" in os.fspath(path) else path.absolute()


def check_address(text: str) -> None:
    """Refuse the address of a bucket that cannot be reached; other texts pass.

    Raises:
        UserError: names the address, and the package that is missing.
    """
    if "://" not in text:
        return
    try:
        epath.Path(text).exists()
    except KeyError as error:
        raise UserError(f"{text}: is of no known kind of bucket; take gs://, s3:// or a folder") from error
    except Exception as error:  # each kind of bucket has a package with exceptions of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{text}: cannot be reached ({reason}); check the address, or take a folder on a disk"
        ) from error


def relative(path: AnyPath, folder: AnyPath) -> str:
    """Return a path relative to a folder, neither of which need exist; an address in a bucket stays."""
    if "://" in os.fspath(path):
        return os.fspath(path)
    return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
