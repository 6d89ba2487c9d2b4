"""Timing side by side: candidates take turns in one process, and ratios are taken round by round.

A machine's speed drifts with its temperature and its other jobs; two calls a moment apart see the same
machine, so their ratio holds still where times do not.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Candidate = Callable[[], Any]


def alternate(candidates: Mapping[str, Candidate], rounds: int) -> dict[str, list[float]]:
    """Seconds of each candidate in each round; every one is called once before, to compile.

    Args:
        candidates: by name; each computes something and returns it, as JAX arrays or as anything that is
            there when the call returns.
        rounds: how often each is timed.
    """
    for run in candidates.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        # In changing order: after one ends its threads may still be spinning, and its memory be given back.
        for name in random.Random(turn).sample(list(candidates), len(candidates)):
            start = time.perf_counter()
            jax.block_until_ready(candidates[name]())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, *peers: str) -> float:
    """Median over the rounds of our time to that of the peer which is faster by its own median."""
    peer = min(peers, key=lambda name: statistics.median(seconds[name]))
    return statistics.median(a / b for a, b in zip(seconds[ours], seconds[peer], strict=True))


def temporary_bytes(function: Callable, *arguments: Any) -> int:
    """Memory that a compiled function takes for its own intermediate results."""
    analysis = jax.jit(function).lower(*arguments).compile().memory_analysis()
    assert analysis is not None, "this platform does not analyse its memory"
    return analysis.temp_size_in_bytes
