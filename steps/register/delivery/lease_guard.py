"""Check before each effect that the worker may still act, and keep its lease alive meanwhile.

    with Guard(lease, stop, beat=…, every_seconds=20) as guard:
        guard.check()

Three things end the right to act: a signal to stop, a lost lease, and a heartbeat that failed twice
in a row.
"""

import logging
import threading
from collections.abc import Callable

from steps.governance.errors import GovernanceError
from steps.register.delivery.background import Background
from steps.register.delivery.lease import Lease, LeaseLost

log = logging.getLogger(__name__)

_ALLOWED_FAILURES = 1


class Interrupted(GovernanceError):
    """The worker got SIGTERM or SIGINT; the message is given back to the queue."""


class Guard(Background):
    """Checks before effects, and a heartbeat thread.

    Every `every_seconds` the heartbeat calls `beat` and renews the lease. One failure in a row is
    allowed: the lease is still valid then.
    """

    def __init__(
        self, lease: Lease, stop: threading.Event, *, beat: Callable[[], None], every_seconds: float
    ) -> None:
        super().__init__("heartbeat")
        self._lease, self._stop, self._beat = lease, stop, beat
        self._every_seconds = every_seconds
        self._lost: GovernanceError | None = None

    def check(self) -> None:
        """Return if the next effect may happen.

        Raises:
            Interrupted: a signal asked the worker to stop.
            LeaseLost: another worker may act now.
        """
        if self._stop.is_set():
            raise Interrupted(
                "the worker was asked to stop", do="nothing: the message is delivered again"
            )
        if (last := self._lost) is not None:
            raise LeaseLost(
                "the heartbeat of this execution's lease failed",
                got=" ".join(str(last).split()),
                do="nothing: the message is delivered again",
            )
        self._lease.check()

    def _run(self) -> None:
        failures = 0
        while not self._over.wait(self._every_seconds):
            try:
                self._beat()
                self._lease.renew()
                failures = 0
            except GovernanceError as error:
                failures += 1
                log.warning("heartbeat failed: %s", error.what)
                if failures > _ALLOWED_FAILURES or isinstance(error, LeaseLost):
                    self._lost = error
                    return
