"""Ctrl-C, a closed terminal and a time-out end a command the same way; moments that must be whole
hear them afterwards.
"""

import os
import signal
from collections.abc import Iterator

import pytest

from pipeline.local.host.signals import deferred, end_as_interrupt


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_polite_signal_is_an_interrupt(number: int) -> None:
    end_as_interrupt()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deferred_signal_is_heard_after_the_block(number: int) -> None:
    end_as_interrupt()
    done = []

    def whole() -> None:
        with deferred():
            os.kill(os.getpid(), number)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        whole()
    assert done == ["whole"]


def test_without_a_signal_nothing_is_heard() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
