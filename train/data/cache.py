"""Resized examples with their precomputed masks, cached as far as memory allows."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np

from train.data.example import Size
from train.data.resize import resized_image, resized_label

Batch = dict[str, Any]
"""Arrays by name; the precomputed masks in a dictionary of their own."""

Examples = Sequence[Mapping[str, Any]] | grain.sources.RandomAccessDataSource[Mapping[str, Any]]
"""Examples in random access: `image` uint8 [h, w, c], `label` uint8 [h, w] and any other entries."""

MaskFunction = Callable[[np.ndarray], np.ndarray]
"""Maps a label uint8 [h, w] to the weights of its pixels, [h, w]."""


@dataclass(frozen=True)
class Subset(Sequence[Mapping[str, Any]]):
    """Some of the examples, selected by index."""

    examples: Examples
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.examples[self.indices[index]]


class ExampleCache(Sequence[Batch]):
    """Image, label and precomputed masks of each example at the size of the network, by index.

    An example is decoded, resized and kept when it is first read, by any thread: a second pass over a data
    set that fits in memory costs next to nothing.
    """

    def __init__(self, examples: Examples, size: Size | None, masks: Mapping[str, MaskFunction], memory: int):
        """Make an empty cache.

        Args:
            examples: with labels.
            size: height and width that examples are resized to; None keeps their own.
            masks: the functions of the precomputed masks, by the names of their terms.
            memory: bytes that cached arrays may take; examples beyond are made anew each time.
        """
        self._examples = examples
        self._size = size
        self._masks = masks
        self._free_memory = memory
        self._cached: dict[int, Batch] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: Any) -> Any:
        """Return one example; its arrays must not be written to, because later passes read them again."""
        cached = self._cached.get(index)
        return cached if cached is not None else self._add(index, self._make(index))

    def _make(self, index: int) -> Batch:
        example = self._examples[index]
        image, label = example["image"], example["label"]
        if self._size is not None:
            image, label = resized_image(image, self._size), resized_label(label, self._size)
        return self.with_masks(image, label)

    def with_masks(self, image: np.ndarray, label: np.ndarray) -> Batch:
        """Return an image and its label, which have the size of the network, with the precomputed masks."""
        masks = {name: mask(label) for name, mask in self._masks.items()}
        return {"image": image, "label": label, "masks": masks}

    def _add(self, index: int, example: Batch) -> Batch:
        """Cache an example if it fits, and return it."""
        size = sum(x.nbytes for x in (example["image"], example["label"], *example["masks"].values()))
        with self._lock:
            if index not in self._cached and size <= self._free_memory:
                self._cached[index] = example
                self._free_memory -= size
        return example
