"""Notice that an execution is being stopped during its registration, and answer the step in time.

    with StopWatch(lambda: status() == "Stopping", answer=…) as watch:
        watch.check()      # before each effect

The worker handles one message at a time, so the message that announces the stop would wait for the
end of the attempt. Instead a thread asks SageMaker every few seconds. After a stop was noticed,
`check` raises before the next effect. If the current call has not ended in time, or its result is
not undone in time, the thread answers the step: a person who stops an execution need not wait for a
service that hangs.
"""

import logging
import threading
import time
from collections.abc import Callable

from steps.governance.errors import GovernanceError
from steps.register.delivery.background import Background

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between two calls to SageMaker
ANSWER_SECONDS = 25.0  # after the stop was noticed; the step is answered within a minute in all


class Stopping(GovernanceError):
    """The execution is being stopped during its registration."""


class StopWatch(Background):
    """A thread that asks SageMaker for the execution's status.

    Args:
        stopping: returns whether the execution is being stopped; called until it is.
        answer: answers the step and returns True, or returns False to be asked again; called only
            if the attempt does not end in time, and not again after it answered.
        known: whether the stop is known already.
    """

    def __init__(
        self, stopping: Callable[[], bool], answer: Callable[[], bool], *, known: bool = False
    ) -> None:
        super().__init__("stop-watch")
        self._stopping, self._answer = stopping, answer
        self._noticed_at = time.monotonic() if known else None
        self.answered = threading.Event()

    def check(self) -> None:
        """Return if no stop was noticed so far.

        Raises:
            Stopping: the execution is being stopped.
        """
        if self._noticed_at is not None:
            raise Stopping("the execution is being stopped")

    def _run(self) -> None:
        while not self._over.wait(self._pause()):
            try:
                self._look()
            except GovernanceError as error:
                log.warning("could not ask whether the execution is being stopped: %s", error)
            except Exception:  # a defect must not end this thread: it answers the step
                log.exception("could not ask whether the execution is being stopped")

    def _pause(self) -> float:
        if self._noticed_at is None:
            return LOOK_SECONDS
        if self.answered.is_set():
            return ANSWER_SECONDS  # nothing is left to do; `_over` ends the wait
        return min(LOOK_SECONDS, max(1.0, self._noticed_at + ANSWER_SECONDS - time.monotonic()))

    def _look(self) -> None:
        if self._noticed_at is None:
            if self._stopping():
                self._noticed_at = time.monotonic()
        elif (
            not self.answered.is_set()
            and time.monotonic() >= self._noticed_at + ANSWER_SECONDS
            and self._answer()
        ):
            self.answered.set()
