"""Stop at the next safe point after SIGTERM, which SageMaker sends 120 s before it kills a job.

stop = StopSignal.listen()
stop.check()          # between two pieces of work: raises Stopped if SIGTERM was received
"""

import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Piece = TypeVar("Piece")

EXIT_CODE = 128 + signal.SIGTERM  # 143, as a shell reports it


_LOOK_SECONDS = 0.2  # between two looks whether a stop was requested, during a pause


class Stopped(Exception):
    """SIGTERM was received, and the work has stopped."""


@dataclass
class StopSignal:
    """Whether this process was requested to stop."""

    requested: bool = False

    @classmethod
    def listen(cls) -> "StopSignal":
        """Install a handler of SIGTERM. Call this in the main thread."""
        stop = cls()
        signal.signal(signal.SIGTERM, lambda *_: stop.request())
        return stop

    def request(self) -> None:
        """Request the work to stop."""
        self.requested = True

    def is_set(self) -> bool:
        """Return whether the work should stop."""
        return self.requested

    def check(self) -> None:
        """Raise if the work should stop.

        Raises:
            Stopped: the process was requested to stop.
        """
        if self.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait, as `time.sleep` does, but no longer than until a stop is requested.

        Raises:
            Stopped: the process was requested to stop.
        """
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            self.check()

    def during(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the pieces, with a `check` before each."""
        for piece in pieces:
            self.check()
            yield piece
