"""SIGTERM where `fit` is called as a function; tests/end_to_end/test_signals.py has the commands."""

import signal

import pytest

from train.errors import Interrupted
from train.run.interrupt import Interruption, interruption


def told_to_stop(error: Exception | None = None) -> Interruption:
    with interruption() as stop:
        assert not stop.before_step(1)
        assert not stop.received()
        signal.raise_signal(signal.SIGTERM)
        assert stop.before_step(1)
        assert stop.received()
        if error is not None:
            raise error
    return stop


def test_sigterm_is_noted_and_never_lost():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="goes on from the last checkpoint"):
        told_to_stop()
    with pytest.raises(KeyError):
        told_to_stop(KeyError())
    assert signal.getsignal(signal.SIGTERM) is before
