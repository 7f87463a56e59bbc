"""What a worker does, and whether it works: for its heartbeat and its health endpoint.

signs = VitalSigns()
signs.polled()                  # the queue answered
with signs.working(body): …     # one message
signs.fault()                   # None, or why this worker is not healthy
signs.document()                # the same for programs; it holds no secret
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from steps.governance.logs import worker_name
from steps.register.delivery.message import MessageRefused, parse

SILENT_SECONDS = 90.0  # a poll lasts 20 s; botocore repeats it within 30 s each
LONGEST_SECONDS = 900.0  # of one message; the queue hides it that long (conf/infrastructure)


class VitalSigns:
    """The signs of one worker. Several threads use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._worker = worker_name()  # as in the log
        self._started = _now()
        self._receives = 0
        self._execution: str | None = None
        self._taken_at: str | None = None
        self._polled: float | None = None
        self._busy_since: float | None = None

    def polled(self) -> None:
        """Note that the queue answered, with a message or without."""
        with self._lock:
            self._polled = self._clock()

    @contextmanager
    def working(self, body: str) -> Iterator[None]:
        """Note the message that is handled in this block. Of its body only the execution's id is
        kept, as the message names it.
        """
        execution = _execution(body)
        with self._lock:
            self._receives += 1
            self._execution, self._taken_at = execution, _now()
            self._polled = self._busy_since = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._polled, self._busy_since = self._clock(), None

    def fault(self) -> str | None:
        """Return None if the worker works, or else one sentence about what it does not do."""
        with self._lock:
            now = self._clock()
            if self._polled is None:
                return "it has not received from its queue yet"
            if self._busy_since is not None:
                seconds = now - self._busy_since
                if seconds > LONGEST_SECONDS:
                    return f"it has worked on one message for {seconds:.0f} s"
            elif now - self._polled > SILENT_SECONDS:
                return f"the queue has not answered it for {now - self._polled:.0f} s"
        return None

    def document(self) -> dict[str, Any]:
        """Return the signs as JSON values; times are RFC 3339 in UTC."""
        fault = self.fault()
        with self._lock:
            working = self._busy_since is not None
            return {
                "version": 1,
                "at": _now(),
                "worker": self._worker,
                "started": self._started,
                "state": "failing" if fault else "working" if working else "waiting",
                "receives": self._receives,
                "execution": self._execution,
                "taken_at": self._taken_at,
            }


def _execution(body: str) -> str | None:
    try:
        return parse(body).execution_arn.rpartition("/")[2]
    except MessageRefused:
        return None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
