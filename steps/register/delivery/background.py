"""A thread that runs during one attempt and ends with it.

class Guard(Background): ...        # defines `_run`, which returns soon after `_over` is set
with Guard("heartbeat") as guard:
"""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from steps.governance import logs


class Background(ABC):
    """A context manager that starts the thread, and at its end sets `_over` and joins it."""

    def __init__(self, name: str) -> None:
        self._over = threading.Event()
        self._thread = logs.thread(self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Work until `_over` is set. An error that leaves this method ends the thread."""
