"""A tracker whose own thread sends what training noted: training neither waits for the workspace nor fails of it.

    tracker = LiveTracker(run)
    tracker.log(12, {"train_loss": 2.31}); tracker.tag({…}); tracker.finish("FINISHED")

Values wait in a queue of bounded length; when it is full the oldest go, and are counted. `Unavailable` is answered with
another attempt after a pause, for as long as the job lasts; every other refusal ends tracking. A `Retry-After` lengthens
the pause to a minute at most. The end of the job cuts each pause short: `flush` and `finish` never wait longer than their
bound, whatever the service asks for. Each kind of trouble is logged once.
"""

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from steps.governance.errors import GovernanceError, Unavailable
from steps.train.tracking.mlflow_run import MOST_POINTS, Point, Status, milliseconds

log = logging.getLogger(__name__)

FLUSH_SECONDS = 20.0  # a job costs money while it waits, and SageMaker kills it 120 s after SIGTERM
_CAPACITY = 50_000  # values, about 10 MB: some hours of steps
_GATHER_SECONDS = (
    2.0  # one request in so many seconds at most: all users of a workspace share its limits
)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = (
    1.0,
    60.0,
)  # between attempts while the workspace does not answer


class Run(Protocol):
    """What is written to: steps.train.tracking.mlflow_run.MlflowRun."""

    @property
    def id(self) -> str | None: ...

    def open(self) -> None: ...

    def write(self, points: list[Point], tags: Mapping[str, str]) -> None: ...

    def end(self, status: Status) -> None: ...


class _Abandoned(Exception):
    """The job ends and cannot wait any longer."""


class LiveTracker:
    """Sends metrics to one MLflow run from a thread of its own."""

    def __init__(self, run: Run, *, capacity: int = _CAPACITY) -> None:
        self._run, self._capacity = run, capacity
        self._points: deque[Point] = deque()
        self._sending: list[Point] = []
        self._tags: dict[str, str] = {}
        self._status: Status | None = None
        self._told: dict[str, str] = {}
        self._lost = 0
        self._idle = self._hurried = self._over = False
        self._changed = threading.Condition()  # guards everything above
        self._thread = threading.Thread(target=self._work, name="live metrics", daemon=True)
        self._thread.start()

    @property
    def run_id(self) -> str | None:
        """The MLflow run, once it is known."""
        return self._run.id

    @property
    def problems(self) -> list[str]:
        """What went wrong so far, the number of lost values last."""
        with self._changed:
            told = [text for kind, text in self._told.items() if kind != "lost"]
            return [*told, self._loss()] if self._lost else told

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note the values of one optimizer step."""
        now = milliseconds()
        with self._changed:
            self._points.extend(Point(key, value, step, now) for key, value in metrics.items())
            self._lose_all_but(0 if self._over else self._capacity)
            self._changed.notify_all()

    def tag(self, tags: Mapping[str, str]) -> None:
        """Note facts about the run."""
        with self._changed:
            self._tags.update(tags)
            self._changed.notify_all()

    def flush(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all that was noted is sent or lost, at most so long."""
        with self._changed:
            self._hurry()
            self._changed.wait_for(
                lambda: self._over or (self._idle and not (self._points or self._tags)),
                timeout=within_seconds,
            )
            self._hurried = False

    def finish(self, status: Status, within_seconds: float = FLUSH_SECONDS) -> None:
        """Send what is left, then how the job ended; at most so long."""
        with self._changed:
            self._status = status
            self._hurry()
            if not self._changed.wait_for(lambda: self._over, timeout=within_seconds):
                self._tell(
                    "late",
                    f"live metrics: not all was sent within {within_seconds:g} s of the job's end",
                )
                self._give_up()
            if self._lost:
                self._tell("lost", self._loss())

    # The thread

    def _work(self) -> None:
        try:
            self._persist(self._run.open)
            while (batch := self._next()) is not None:
                self._persist(partial(self._run.write, *batch))
            self._persist(lambda: self._run.end(self._status or "FAILED"))
        except _Abandoned:
            pass
        except GovernanceError as error:
            self._note("refused", f"live metrics end here, training goes on: {error}")
        except Exception as error:  # noqa: BLE001 - the thread's outermost wall: it must not end unheard
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._note(
                "defect",
                f"live metrics end here by a defect: {type(error).__name__} in {place.name}",
            )
        with self._changed:
            self._give_up()

    def _next(self) -> tuple[list[Point], dict[str, str]] | None:
        """What to send now; None when all is sent and the job has ended."""
        with self._changed:
            self._sending, self._idle = [], True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._points or self._tags or self._status)
            self._changed.wait_for(
                lambda: self._hurried or len(self._points) >= MOST_POINTS, timeout=_GATHER_SECONDS
            )
            self._idle = False
            if not (self._points or self._tags):
                return None
            self._sending = [
                self._points.popleft() for _ in range(min(MOST_POINTS, len(self._points)))
            ]
            tags, self._tags = self._tags, {}
            return self._sending, tags

    def _persist(self, act: Callable[[], None]) -> None:
        """Do it, again and again while the workspace gives no answer.

        Raises:
            GovernanceError: it was refused.
            _Abandoned: the job does not wait any longer.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return act()
            except Unavailable as error:
                self._note("unavailable", f"live metrics wait, training goes on: {error}")
                asked = min(error.retry_after_seconds or 0.0, _LONGEST_PAUSE_SECONDS)
            self._rest(max(pause, asked))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _rest(self, seconds: float) -> None:
        with self._changed:
            hurried = self._hurried
            self._changed.wait_for(
                lambda: self._over or (self._hurried and not hurried),
                timeout=_FIRST_PAUSE_SECONDS if hurried else seconds,
            )
            if self._over:
                raise _Abandoned

    # With the lock held

    def _hurry(self) -> None:
        self._hurried = True
        self._changed.notify_all()

    def _give_up(self) -> None:
        self._over = True
        self._points.extendleft(self._sending)
        self._sending = []
        self._lose_all_but(0)
        self._changed.notify_all()

    def _lose_all_but(self, kept: int) -> None:
        while len(self._points) > kept:
            self._points.popleft()
            self._lost += 1

    def _loss(self) -> str:
        return f"live metrics: {self._lost} values did not reach the MLflow run; the job's log has them all"

    def _note(self, kind: str, text: str) -> None:
        with self._changed:
            self._tell(kind, text)

    def _tell(self, kind: str, text: str) -> None:
        """Say it, the first time."""
        if kind not in self._told:
            self._told[kind] = text
            log.warning("%s", text)
