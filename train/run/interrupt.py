"""Being asked to stop, as batch systems do before they take a machine away: SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import jax
from jax.experimental import multihost_utils


@contextlib.contextmanager
def when_to_stop() -> Iterator[Callable[[int], bool]]:
    """A function of the number of steps taken: whether the run is to stop there.

    A signal sets a flag that is looked at between steps; outside of the context it has the system's own
    action. On several hosts jax has them agree on the step, whichever of them was asked.
    """
    if jax.process_count() > 1:
        yield multihost_utils.reached_preemption_sync_point
        return
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield lambda step: asked.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)
