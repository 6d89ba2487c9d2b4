"""Where files may lie."""

from pathlib import Path

from etils import epath

Place = Path | epath.Path
"""A path on a disk, or the address of something in a bucket, such as gs://bucket/folder."""
