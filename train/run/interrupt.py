"""SIGTERM, which batch systems send before they take a machine away."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import jax
from jax.experimental import multihost_utils


@contextlib.contextmanager
def interruption() -> Iterator[Callable[[int], bool]]:
    """Yield a function of the number of steps taken: whether the run is to stop before the next step.

    In the context, SIGTERM sets a flag, which the yielded function reads; outside, SIGTERM kills the process.
    Several hosts agree on the step by jax's preemption service, whichever of them received the signal.
    """
    if jax.process_count() > 1:
        yield multihost_utils.reached_preemption_sync_point
        return
    received = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: received.set())
    try:
        yield lambda step: received.is_set()
    finally:
        signal.signal(signal.SIGTERM, previous)
