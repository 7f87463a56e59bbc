"""Values and tags that wait to be sent to MLflow.

Training puts them in; the sending thread of `live_tracker` takes them out:

    queue = MetricQueue(capacity=50_000)
    queue.put([Point(…)]); queue.put_tags({…}); queue.flush(20.0); queue.close("FINISHED", 20.0)
    while (batch := queue.take()) is not None: …        # the sending thread

The queue is bounded. When it is full, the oldest values are dropped and counted. Training only
waits in `flush` and `close`, and never longer than the given time.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from steps.train.tracking.mlflow_run import MOST_POINTS, Point, Status

# At most one request in this time: all users of a workspace share its limits
_GATHER_SECONDS = 2.0


class Abandoned(Exception):
    """The job ends and does not wait for the sender any longer."""


class MetricQueue:
    """A bounded queue between training and the sending thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity  # values
        self._points: deque[Point] = deque()
        self._in_flight: list[Point] = []  # taken by the sender, not yet acknowledged
        self._tags: dict[str, str] = {}
        self._status: Status | None = None  # how the job ended, None while it runs
        self._lost = 0  # values
        self._sender_is_idle = False
        self._urgent = False  # training waits: the sender makes no long pauses
        self._ended = False  # nothing is sent any more
        self._changed = threading.Condition()  # guards all attributes above

    @property
    def lost(self) -> int:
        """How many values were dropped or not sent in time."""
        with self._changed:
            return self._lost

    @property
    def status(self) -> Status:
        """How the job ended."""
        return self._status or "FAILED"

    # Called by training

    def put(self, points: Sequence[Point]) -> None:
        """Add values. After the end they are lost at once."""
        with self._changed:
            self._points.extend(points)
            self._drop_oldest(0 if self._ended else self._capacity)
            self._changed.notify_all()

    def put_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags; a later value of a tag replaces an earlier one."""
        with self._changed:
            self._tags.update(tags)
            self._changed.notify_all()

    def flush(self, within_seconds: float) -> None:
        """Wait until all values are sent or lost, at most `within_seconds`."""
        with self._changed:
            self._make_urgent()
            self._changed.wait_for(
                lambda: self._ended or (self._sender_is_idle and not (self._points or self._tags)),
                timeout=within_seconds,
            )
            self._urgent = False

    def close(self, status: Status, within_seconds: float) -> bool:
        """Wait until the sender has ended, at most `within_seconds`.

        Returns:
            False if the sender was not done by then. What it had not sent is lost.
        """
        with self._changed:
            self._status = status
            self._make_urgent()
            if self._changed.wait_for(lambda: self._ended, timeout=within_seconds):
                return True
            self._end()
            return False

    # Called by the sending thread

    def take(self) -> tuple[list[Point], dict[str, str]] | None:
        """Wait for values or tags and return them, at most `MOST_POINTS` values.

        The call also acknowledges the values of the call before. It returns None when all is sent
        and the job has ended.
        """
        with self._changed:
            self._in_flight, self._sender_is_idle = [], True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._points or self._tags or self._status)
            self._changed.wait_for(
                lambda: self._urgent or len(self._points) >= MOST_POINTS, timeout=_GATHER_SECONDS
            )
            self._sender_is_idle = False
            if not (self._points or self._tags):
                return None
            count = min(MOST_POINTS, len(self._points))
            self._in_flight = [self._points.popleft() for _ in range(count)]
            tags, self._tags = self._tags, {}
            return self._in_flight, tags

    def pause(self, seconds: float, *, urgent_seconds: float) -> None:
        """Wait before another attempt: `seconds`, or `urgent_seconds` while training waits.

        A pause that has begun ends when training starts to wait.

        Raises:
            Abandoned: the job does not wait any longer.
        """
        with self._changed:
            was_urgent = self._urgent
            self._changed.wait_for(
                lambda: self._ended or (self._urgent and not was_urgent),
                timeout=urgent_seconds if was_urgent else seconds,
            )
            if self._ended:
                raise Abandoned

    def end(self) -> None:
        """Stop sending: all values that wait or are in flight are lost."""
        with self._changed:
            self._end()

    # Called with the lock held

    def _make_urgent(self) -> None:
        self._urgent = True
        self._changed.notify_all()

    def _end(self) -> None:
        self._ended = True
        self._points.extendleft(self._in_flight)
        self._in_flight = []
        self._drop_oldest(0)
        self._changed.notify_all()

    def _drop_oldest(self, kept: int) -> None:
        while len(self._points) > kept:
            self._points.popleft()
            self._lost += 1
