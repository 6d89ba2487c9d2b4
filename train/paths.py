"""Paths on a disk, and addresses in a bucket."""

import os
from pathlib import Path

from etils import epath

AnyPath = Path | epath.Path
"""A path on a disk, or an address in a bucket, such as gs://bucket/folder."""


def absolute(path: AnyPath) -> AnyPath:
    """Return an absolute path; an address in a bucket stays, because `absolute()` would make it a path."""
    return path if "://" in os.fspath(path) else path.absolute()
