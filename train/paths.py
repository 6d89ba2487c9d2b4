"""Where files may lie."""

import os
from pathlib import Path

from etils import epath

Place = Path | epath.Path
"""A path on a disk, or the address of something in a bucket, such as gs://bucket/folder."""


def absolute(place: Place) -> Place:
    """A path from the root on; an address as it is, of which its own method would make a path."""
    return place if "://" in os.fspath(place) else place.absolute()
