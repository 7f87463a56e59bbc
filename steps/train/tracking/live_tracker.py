"""A tracker that sends metrics to MLflow from its own thread, so that training never waits for it.

    tracker = LiveTracker(run)
    tracker.log(12, {"train_loss": 2.31}); tracker.tag({…}); tracker.finish("FINISHED")

Values wait in a `MetricQueue`. On `Unavailable` the thread pauses and tries again, for as long as
the job runs; any other error ends tracking, and training continues. A `Retry-After` lengthens the
pause, up to a minute. The end of the job cuts each pause short: `flush` and `finish` never wait
longer than their bound, however long a pause the service requests. Each kind of problem is logged
once.
"""

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from steps.governance.errors import GovernanceError, Unavailable
from steps.train.tracking.metric_queue import Abandoned, MetricQueue
from steps.train.tracking.mlflow_run import Point, Status, milliseconds

log = logging.getLogger(__name__)

FLUSH_SECONDS = 20.0  # a job costs money while it waits, and SageMaker kills it 120 s after SIGTERM
_CAPACITY = 50_000  # values, about 10 MB: some hours of steps
# Between attempts while the workspace does not answer
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0


class Run(Protocol):
    """The MLflow run that is written to: steps.train.tracking.mlflow_run.MlflowRun."""

    @property
    def id(self) -> str | None:
        """The run's id, None until `open` has succeeded."""

    @property
    def experiment_id(self) -> str | None:
        """The id of its experiment, None until `open` has succeeded."""

    def open(self) -> None:
        """Find or create the run, and set it to RUNNING."""

    def write(self, points: list[Point], tags: Mapping[str, str]) -> None:
        """Send values and tags."""

    def end(self, status: Status) -> None:
        """Set the status that the job ended with."""


class LiveTracker:
    """Sends the metrics of a job to one MLflow run."""

    def __init__(self, run: Run, *, capacity: int = _CAPACITY) -> None:
        self._run = run
        self._queue = MetricQueue(capacity)
        self._problems = _Problems()
        _Sender(run, self._queue, self._problems).start()

    @property
    def run_id(self) -> str | None:
        """The id of the MLflow run, None until the run is open."""
        return self._run.id

    @property
    def experiment_id(self) -> str | None:
        """The id of the run's experiment, None until the run is open."""
        return self._run.experiment_id

    @property
    def problems(self) -> list[str]:
        """What went wrong so far; the number of lost values is last."""
        lost = self._queue.lost
        return [*self._problems.texts(), *([_loss(lost)] if lost else [])]

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Queue the values of one optimizer step."""
        now = milliseconds()
        self._queue.put([Point(key, value, step, now) for key, value in metrics.items()])

    def tag(self, tags: Mapping[str, str]) -> None:
        """Queue tags of the run."""
        self._queue.put_tags(tags)

    def flush(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all values are sent or lost, at most `within_seconds`."""
        self._queue.flush(within_seconds)

    def finish(self, status: Status, within_seconds: float = FLUSH_SECONDS) -> None:
        """Send what is left, then the job's status, in at most `within_seconds`."""
        if not self._queue.close(status, within_seconds):
            self._problems.note(
                "late",
                f"live metrics: not all was sent within {within_seconds:g} s of the job's end",
            )
        if lost := self._queue.lost:
            log.warning("%s", _loss(lost))


class _Sender:
    """The thread that opens the run, sends what is queued, and ends the run."""

    def __init__(self, run: Run, queue: MetricQueue, problems: "_Problems") -> None:
        self._run, self._queue, self._problems = run, queue, problems

    def start(self) -> None:
        """Start the thread. A daemon: it does not keep the process alive."""
        threading.Thread(target=self._work, name="live metrics", daemon=True).start()

    def _work(self) -> None:
        try:
            self._send(self._run.open)
            while (batch := self._queue.take()) is not None:
                self._send(partial(self._run.write, *batch))
            self._send(lambda: self._run.end(self._queue.status))
        except Abandoned:
            pass
        except GovernanceError as error:
            self._problems.note("refused", f"live metrics end here, training continues: {error}")
        except Exception as error:  # noqa: BLE001 - an error that ends the thread must be logged
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._problems.note(
                "defect",
                f"live metrics end here because of a defect: "
                f"{type(error).__name__} in {place.name}",
            )
        self._queue.end()

    def _send(self, act: Callable[[], None]) -> None:
        """Call `act`, repeatedly while it raises `Unavailable`.

        The pause doubles from `_FIRST_PAUSE_SECONDS` to `_LONGEST_PAUSE_SECONDS`.

        Raises:
            GovernanceError: the workspace refused it.
            Abandoned: the job does not wait any longer.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return act()
            except Unavailable as error:
                self._problems.note(
                    "unavailable", f"live metrics wait, training continues: {error}"
                )
                requested = min(error.retry_after_seconds or 0.0, _LONGEST_PAUSE_SECONDS)
            self._queue.pause(max(pause, requested), urgent_seconds=_FIRST_PAUSE_SECONDS)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


class _Problems:
    """What went wrong, the first of each kind: logged, and kept for the report."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()

    def note(self, kind: str, text: str) -> None:
        """Log the text and keep it, unless there is one of this kind already."""
        with self._lock:
            if kind not in self._texts:
                self._texts[kind] = text
                log.warning("%s", text)

    def texts(self) -> list[str]:
        """All that was noted, in order."""
        with self._lock:
            return list(self._texts.values())


def _loss(values: int) -> str:
    return f"live metrics: {values} values did not reach the MLflow run; the job's log has them all"
