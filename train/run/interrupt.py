"""Ctrl-C, and SIGTERM, which batch systems send before they take a machine away."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from train.errors import Interrupted

_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes by signal."""
_ERASE_LINE_SHOW_CURSOR = b"\r\x1b[2K\x1b[?25h"
"""Control sequences that undo what a progress line has done to a terminal."""


class Interruption(NamedTuple):
    """How a run asks whether it was told to stop."""

    before_step: Callable[[int], bool]
    """Whether to stop, by the number of steps taken; several hosts agree on the step."""
    received: Callable[[], bool]
    """Whether to stop at once; always False on one of several hosts, which would wait for each other."""


def answer_signals(line: str) -> None:
    """End this process at the next SIGINT or SIGTERM, with a line on stderr and exit code 130 or 143.

    A thread answers, because Python calls signal handlers in the main thread, which waits while XLA compiles.
    The thread leaves by `os._exit`: an interpreter that shuts down while XLA compiles crashes, and further
    signals would interrupt the shutdown. Files are left as by a kill, which every command survives.

    A signal that the parent process has set to be ignored stays ignored.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave_to_thread)
    threading.Thread(target=_answer, args=(reader, line), daemon=True).start()


def _leave_to_thread(number: int, frame: object) -> None:
    """Do nothing in the main thread; the thread of `answer_signals` answers the signal."""


def _answer(reader: int, line: str) -> None:
    """Wait for a signal that no other handler was set for, and end the process."""
    while True:
        number = signal.Signals(os.read(reader, 1)[0])
        if signal.getsignal(number) is _leave_to_thread:
            with contextlib.suppress(OSError):  # there is no terminal
                if os.isatty(1):
                    os.write(1, _ERASE_LINE_SHOW_CURSOR)
            with contextlib.suppress(OSError):  # stderr is closed
                os.write(2, f"{line}\n".encode())
            os._exit(_CODES[number])


@contextlib.contextmanager
def interruption() -> Iterator[Interruption]:
    """Let a run finish its step, and store its state, when SIGTERM is received in the context.

    Several hosts agree on the step by jax's preemption service, whichever of them received the signal.

    Raises:
        Interrupted: SIGTERM was received, but what is in the context came to its end.
    """
    import jax  # only here, because signals are answered while JAX is imported
    from jax.experimental import multihost_utils

    if jax.process_count() > 1:
        yield Interruption(multihost_utils.reached_preemption_sync_point, lambda: False)
        return
    received = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: received.set())
    try:
        yield Interruption(lambda step: received.is_set(), received.is_set)
    finally:
        signal.signal(signal.SIGTERM, previous)
    if received.is_set():
        raise Interrupted("stopped; the same command goes on from the last checkpoint")
