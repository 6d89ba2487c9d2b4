"""Dividing a data set into parts by group and class, the same way on every machine."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple


class Traits(NamedTuple):
    """What decides on which side of a split an image may stand."""

    group: str
    """Images of one group stay together."""
    classes: frozenset[int]
    """The class ids that its labels contain."""


def draw(images: Mapping[str, Traits], share: float, seed: int) -> set[str]:
    """Names of about `share` of the images, whole groups only, the classes mixed as in all of them.

    Groups are put in order by the classes they show, at random among equals, and taken at even distances:
    every group adds its share to a balance and is drawn when that covers half of it.

    Args:
        images: by name.
        share: of the images, in [0, 1]; kept to within half a group.
        seed: another seed, another order among equals.
    """
    members: dict[str, list[str]] = defaultdict(list)
    classes: dict[str, frozenset[int]] = defaultdict(frozenset)
    for name, traits in images.items():
        members[traits.group].append(name)
        classes[traits.group] |= traits.classes

    def place(group: str) -> tuple[list[int], str]:
        return sorted(classes[group]), hashlib.sha256(f"{seed} {group}".encode()).hexdigest()

    drawn: set[str] = set()
    balance = 0.0
    for group in sorted(members, key=place):
        size = len(members[group])
        balance += share * size
        if balance >= size / 2:
            drawn.update(members[group])
            balance -= size
    return drawn


def with_validation(
    images: Mapping[str, Traits], test: set[str], share: float, seed: int = 0
) -> dict[str, set[str]]:
    """Names by part, those for the test being known: about `share` of the others are drawn for validation."""
    rest = {name: traits for name, traits in images.items() if name not in test}
    validation = draw(rest, share, seed)
    return {"train": rest.keys() - validation, "validation": validation, "test": test}
