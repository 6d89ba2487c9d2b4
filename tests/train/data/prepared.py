"""Prepared folders of images, and the content of a part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.data.prepare import Prepared, prepare
from train.data.sets import Folder


def prepare_folder(root: Path, **changes: Any) -> Prepared:
    """Prepare the folders `images` and `masks` under a root, with options changed."""
    options: dict[str, Any] = {"images": str(root / "images"), "masks": str(root / "masks")}
    options |= {"validation": 0.25, "test": 0.25} | changes
    return prepare(Folder(**options), data_dir=root / "prepared")


def names(data: Prepared, part: str) -> set[str]:
    return {record["name"] for record in data.parts[part]}


def check_groups(data: Prepared, groups: Mapping[str, str]) -> None:
    """Check that every example has its group, by its name, and that no group is in two parts."""
    for records in data.parts.values():
        assert list(records.groups) == [groups[record["name"]] for record in records]
    train, validation, test = (set(records.groups) for records in data.parts.values())
    assert not train & validation
    assert not train & test
    assert not validation & test
