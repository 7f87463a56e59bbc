"""How this command hears that it should end: every polite way is Ctrl-C, and some moments hear it a
little later.

A closed terminal (SIGHUP) or a CI time-out (SIGTERM) would end Python without any `finally`, and
leave the servers behind.
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
    """Put polite signals off until the block is done; one that came raises KeyboardInterrupt then.

    By handlers, not by a mask: processes that are started meanwhile would inherit a mask, and be
    deaf for good.
    """
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: heard.append(number)) for number in _POLITE
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        raise KeyboardInterrupt
