"""Views: what the network sees, decoded once as far as memory goes."""

from collections import Counter

import jax
import numpy as np
import pytest

from train.data.cache import Views
from train.data.pipeline import training_batches


class Counted(list):
    """Examples that count how often each is asked for."""

    def __init__(self, number):
        rng = np.random.default_rng(0)
        super().__init__(
            {
                "image": rng.integers(0, 256, (12, 10, 1), np.uint8),
                "label": rng.integers(0, 3, (12, 10), np.uint8),
            }
            for _ in range(number)
        )
        self.asked = Counter()

    def __getitem__(self, index):
        self.asked[index] += 1
        return super().__getitem__(index)


BYTES = 2 * 6 * 5
"""Of a view of 6x5 pixels: a grey image and its label."""


def test_what_fits_in_memory_is_decoded_once():
    examples = Counted(4)
    views = Views(examples, (6, 5), {}, room=4 * BYTES)
    first, second = ([views[i] for i in range(4)] for _ in range(2))
    assert set(examples.asked.values()) == {1}
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert first[0]["image"].shape == (6, 5, 1)


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (BYTES - 1, 0), (2 * BYTES, 2), (3 * BYTES - 1, 2)])
def test_what_does_not_fit_is_decoded_each_time(room, kept):
    examples = Counted(4)
    views = Views(examples, (6, 5), {}, room=room)
    for _ in range(2):
        for i in range(len(views)):
            views[i]
    assert sorted(examples.asked.values()) == [1] * kept + [2] * (4 - kept)


@pytest.mark.parametrize("size", [None, (6, 5)])
def test_batches_are_the_same_with_and_without_memory(size):
    def run(room):
        return training_batches(
            Counted(7), size=size, crop=(4, 4), centered=0.5, batch_size=3, passes=4, seed=1, room=room
        )

    assert jax.tree.all(jax.tree.map(np.array_equal, list(run(0)), list(run(10**6))))
