"""Signals: SIGTERM and SIGHUP act as Ctrl-C, and some blocks defer all three. By default a closed
terminal (SIGHUP) or a CI time-out (SIGTERM) ends Python without any `finally`, which would leave
the servers running.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_as_interrupt() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer these signals until the end of the block; a signal that came raises KeyboardInterrupt
    then. This sets handlers rather than a signal mask, because processes that are started in the
    block would inherit a mask and ignore the signals.
    """
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in _POLITE
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt
