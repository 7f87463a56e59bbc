"""Notices that an execution is being stopped while a registration works on it, and bounds how long that takes.

    with StopWatch(lambda: status() == "Stopping", answer=…) as watch:
        watch.check()      # before each effect

The worker handles one message at a time, so the message that announces the stop would wait for the end of the attempt.
Instead SageMaker is asked every few seconds. Then the next effect is not begun; and if the call at hand has not ended
(or what was begun is not undone) in time, the step is answered all the same: a person who stops does not wait for a
service that hangs.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from steps.governance.errors import GovernanceError

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between two questions
ANSWER_SECONDS = 25.0  # after the stop was noticed; with looking and answering well within a minute


class Stopping(GovernanceError):
    """The execution is being stopped while we work on it."""


class StopWatch:
    """Asks SageMaker beside the work, in a thread of its own.

    Args:
        stopping: whether the execution is being stopped; asked until it is.
        answer: answers the step; called at most once, and only if the work is not over in time.
        known: whether the stop is known already.
    """

    def __init__(
        self, stopping: Callable[[], bool], answer: Callable[[], None], *, known: bool = False
    ) -> None:
        self._stopping, self._answer = stopping, answer
        self._noticed_at = time.monotonic() if known else None
        self._over, self.answered = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="stop-watch", daemon=True)

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

    def check(self) -> None:
        """Return if nobody has stopped the execution, as far as is known.

        Raises:
            Stopping: somebody has.
        """
        if self._noticed_at is not None:
            raise Stopping("the execution is being stopped")

    def _run(self) -> None:
        while not self._over.wait(self._pause()):
            try:
                self._look()
            except GovernanceError as error:
                log.warning("could not ask whether the execution is being stopped: %s", error)
            except Exception:  # a defect must not end the watch, on which the end of a stop depends
                log.exception("could not ask whether the execution is being stopped")

    def _pause(self) -> float:
        if self._noticed_at is None:
            return LOOK_SECONDS
        if self.answered.is_set():
            return ANSWER_SECONDS  # nothing is left to do but to end with the work
        return min(LOOK_SECONDS, max(1.0, self._noticed_at + ANSWER_SECONDS - time.monotonic()))

    def _look(self) -> None:
        if self._noticed_at is None:
            if self._stopping():
                self._noticed_at = time.monotonic()
        elif not self.answered.is_set() and time.monotonic() >= self._noticed_at + ANSWER_SECONDS:
            self._answer()
            self.answered.set()
