"""The cache of examples: each is decoded once, as far as memory allows."""

from collections import Counter

import jax
import numpy as np
import pytest

from train.data.cache import ExampleCache
from train.data.pipeline import training_batches


class CountedExamples(list):
    """Examples that count how often each is read."""

    def __init__(self, count):
        rng = np.random.default_rng(0)
        super().__init__(
            {
                "image": rng.integers(0, 256, (12, 10, 1), np.uint8),
                "label": rng.integers(0, 3, (12, 10), np.uint8),
            }
            for _ in range(count)
        )
        self.reads = Counter()

    def __getitem__(self, index):
        self.reads[index] += 1
        return super().__getitem__(index)


EXAMPLE_BYTES = 2 * 6 * 5
"""A gray image and its label of 6x5 pixels."""


def test_examples_that_fit_in_memory_are_read_once():
    examples = CountedExamples(4)
    cache = ExampleCache(examples, (6, 5), {}, memory=4 * EXAMPLE_BYTES)
    first, second = ([cache[i] for i in range(4)] for _ in range(2))
    assert set(examples.reads.values()) == {1}
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert first[0]["image"].shape == (6, 5, 1)


@pytest.mark.parametrize(
    ("memory", "cached"),
    [(0, 0), (EXAMPLE_BYTES - 1, 0), (2 * EXAMPLE_BYTES, 2), (3 * EXAMPLE_BYTES - 1, 2)],
)
def test_examples_that_do_not_fit_are_read_each_time(memory, cached):
    examples = CountedExamples(4)
    cache = ExampleCache(examples, (6, 5), {}, memory=memory)
    for _ in range(2):
        for i in range(len(cache)):
            cache[i]
    assert sorted(examples.reads.values()) == [1] * cached + [2] * (4 - cached)


@pytest.mark.parametrize("size", [None, (6, 5)])
def test_batches_do_not_depend_on_memory(size):
    def run(memory):
        options = {"crop": (4, 4), "centered": 0.5, "batch_size": 3, "passes": 4, "seed": 1}
        return training_batches(CountedExamples(7), size=size, memory=memory, **options)

    assert jax.tree.all(jax.tree.map(np.array_equal, list(run(0)), list(run(10**6))))
