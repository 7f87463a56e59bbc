"""Ctrl-C, SIGHUP and SIGTERM end a command in the same way; some blocks defer them."""

import os
import signal
from collections.abc import Iterator

import pytest

from pipeline.local.host.signals import deferred, end_as_interrupt


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    """Give SIGINT Python's own handler: a Sail server that this process had replaced it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_end_signal_is_an_interrupt(number: int) -> None:
    end_as_interrupt()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deferred_signal_interrupts_after_the_block(number: int) -> None:
    end_as_interrupt()
    done = []

    def whole() -> None:
        with deferred():
            os.kill(os.getpid(), number)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        whole()
    assert done == ["whole"]


def test_without_a_signal_the_block_ends_normally() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
