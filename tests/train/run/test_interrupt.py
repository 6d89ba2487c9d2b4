"""SIGTERM in a process of whoever calls `fit` as a function; tests/end_to_end/test_signals.py has commands."""

import signal

import pytest

from train.errors import Interrupted
from train.run.interrupt import interruption


def test_sigterm_is_noted_and_never_lost():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="goes on from the last checkpoint"), interruption() as stop:
        assert not (stop.before_step(1) or stop.received())
        signal.raise_signal(signal.SIGTERM)
        assert stop.before_step(1)
        assert stop.received()
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(KeyError), interruption():  # an error is not replaced
        signal.raise_signal(signal.SIGTERM)
        raise KeyError
