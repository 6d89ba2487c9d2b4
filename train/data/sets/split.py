"""Division of a data set into parts by group and class, equal on every machine."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Traits(NamedTuple):
    """Properties of an image that decide its part."""

    group: str
    """Images of one group stay together."""
    classes: frozenset[int]
    """Class ids in its label."""


def label_traits(group: str, label: np.ndarray) -> Traits:
    """Return the traits of an image with a label."""
    return Traits(group, frozenset(np.unique(label).tolist()))


def draw(images: Mapping[str, Traits], fraction: float, seed: int) -> set[str]:
    """Return the names of about `fraction` of the images: whole groups, stratified by classes.

    Groups are sorted by their classes, at random among equals, and taken at even distances: every group adds
    its fraction to a balance and is drawn when the balance reaches half of the group.

    Args:
        images: by name.
        fraction: of the images, in [0, 1]; met to within half a group.
        seed: of the order among groups with equal classes.
    """
    members: dict[str, list[str]] = defaultdict(list)
    classes: dict[str, frozenset[int]] = defaultdict(frozenset)
    for name, traits in images.items():
        members[traits.group].append(name)
        classes[traits.group] |= traits.classes

    def key(group: str) -> tuple[list[int], str]:
        return sorted(classes[group]), hashlib.sha256(f"{seed} {group}".encode()).hexdigest()

    drawn: set[str] = set()
    balance = 0.0
    for group in sorted(members, key=key):
        size = len(members[group])
        balance += fraction * size
        if balance >= size / 2:
            drawn.update(members[group])
            balance -= size
    return drawn


def three_parts(
    images: Mapping[str, Traits], test: set[str], validation_fraction: float, seed: int = 0
) -> dict[str, set[str]]:
    """Return names by part for a given test part; `validation_fraction` is of all other images."""
    others = {name: traits for name, traits in images.items() if name not in test}
    validation = draw(others, validation_fraction, seed)
    return {"train": others.keys() - validation, "validation": validation, "test": test}
