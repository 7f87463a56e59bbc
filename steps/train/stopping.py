"""SIGTERM, which SageMaker sends 120 s before it kills a job: stop at the next safe point, leave nothing half-made.

stop = StopSignal.listen()
stop.check()          # between two pieces of work: raises Stopped once SIGTERM has come
"""

import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Piece = TypeVar("Piece")

EXIT_CODE = 128 + signal.SIGTERM  # 143, what a shell reports for a process that SIGTERM ended


class Stopped(Exception):
    """SageMaker asked this job to end."""


@dataclass
class StopSignal:
    """Whether this process was asked to end."""

    requested: bool = False

    @classmethod
    def listen(cls) -> "StopSignal":
        """Take SIGTERM from now on. Call it in the main thread."""
        stop = cls()
        signal.signal(signal.SIGTERM, lambda *_: stop.request())
        return stop

    def request(self) -> None:
        """Ask the work to end."""
        self.requested = True

    def is_set(self) -> bool:
        """Whether the work is to end."""
        return self.requested

    def check(self) -> None:
        """Go on, or raise.

        Raises:
            Stopped: the process was asked to end.
        """
        if self.is_set():
            raise Stopped

    def during(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The pieces one by one, with a `check` before each."""
        for piece in pieces:
            self.check()
            yield piece
