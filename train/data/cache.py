"""Examples as the network sees them before crops, kept in memory as far as there is room."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np

from train.data.resize import Size, resized_image, resized_label

Batch = dict[str, Any]
"""Arrays by name; stored masks in a dictionary of their own."""

Examples = Sequence[Mapping[str, Any]] | grain.sources.RandomAccessDataSource[Mapping[str, Any]]
"""Images in random access: `image` uint8 [h, w, c], `label` uint8 [h, w] and whatever else."""

Mask = Callable[[np.ndarray], np.ndarray]
"""Makes of a label uint8 [h, w] what its pixels count, [h, w]."""


@dataclass(frozen=True)
class Subset(Sequence[Mapping[str, Any]]):
    """Some of the examples, by their positions."""

    examples: Examples
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> Any:
        return self.examples[self.positions[index]]


class Views(Sequence[Batch]):
    """Image, label and stored masks of each example at the size of the network, by position.

    They are decoded, resized and made when first asked for, by any thread, and then kept: a second pass
    over a set that fits in memory costs next to nothing.
    """

    def __init__(self, examples: Examples, size: Size | None, masks: Mapping[str, Mask], memory: int):
        """Views of examples.

        Args:
            examples: with labels.
            size: height and width every example is resized to; None leaves them as they are.
            masks: by the names of their terms.
            memory: bytes of memory for what is kept; views that no longer fit are made each time.
        """
        self._examples = examples
        self._size = size
        self._masks = masks
        self._memory = memory
        self._kept: dict[int, Batch] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: Any) -> Any:
        """The view of one example; not to be written to, because the next pass takes the same."""
        kept = self._kept.get(index)
        return kept if kept is not None else self._keep(index, self._look(index))

    def _look(self, index: int) -> Batch:
        example = self._examples[index]
        image, label = example["image"], example["label"]
        if self._size is not None:
            image, label = resized_image(image, self._size), resized_label(label, self._size)
        masks = {name: make(label) for name, make in self._masks.items()}
        return {"image": image, "label": label, "masks": masks}

    def _keep(self, index: int, view: Batch) -> Batch:
        size = sum(x.nbytes for x in (view["image"], view["label"], *view["masks"].values()))
        with self._lock:
            if index not in self._kept and size <= self._memory:
                self._kept[index] = view
                self._memory -= size
        return view
