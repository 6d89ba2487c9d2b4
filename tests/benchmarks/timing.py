"""Interleaved timing: candidates take turns in one process, and ratios are computed round by round.

The speed of a machine drifts with its temperature and its other jobs. Two calls a moment apart run at the
same speed, so their ratio is stable where their times are not.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Candidate = Callable[[], Any]


def alternate(candidates: Mapping[str, Candidate], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each candidate in each round, after one call of each that compiles it.

    Args:
        candidates: by name; each returns its result, as JAX arrays or as anything that is complete when the
            call returns.
        rounds: number of times that each candidate is timed.
    """
    for run in candidates.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        # Shuffled, because the threads and the freed memory of a candidate slow down the next one.
        for name in random.Random(turn).sample(list(candidates), len(candidates)):
            start = time.perf_counter()
            jax.block_until_ready(candidates[name]())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, *peers: str) -> float:
    """Return the median over rounds of a candidate's time divided by the time of its fastest peer."""
    fastest = min(peers, key=lambda peer: statistics.median(seconds[peer]))
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[fastest], strict=True))


def temporary_bytes(function: Callable, *arguments: Any) -> int:
    """Return the bytes that a compiled function allocates for intermediate results."""
    analysis = jax.jit(function).lower(*arguments).compile().memory_analysis()
    assert analysis is not None, "this platform does not analyse its memory"
    return analysis.temp_size_in_bytes
